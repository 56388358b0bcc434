"""The sizes of the Wan 2.1 video VAE, named as in its published config.json but for one misspelling."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mdctl.models.published import read_settings, refuse
from mdctl.spec.shapes import Strides

CLASS_NAME = "AutoencoderKLWan"

# What the published class can do and this one does not: anything but these values is refused.
FIXED: Mapping[str, tuple[Any, ...]] = {
    "attn_scales": ([],),
    "decoder_base_dim": (None,),
    "in_channels": (3,),
    "is_residual": (False,),
    "out_channels": (3,),
    "patch_size": (None,),
}

# Dropout is for training it; the scale factors follow from the levels, and `strides` computes them.
IGNORED = ("dropout", "scale_factor_spatial", "scale_factor_temporal")

SPELLING = {"temporal_downsample": "temperal_downsample"}


@dataclass(frozen=True, kw_only=True)
class WanVAEConfig:
    """Levels of the encoder, outermost first; the decoder has them in reverse. The defaults are Wan 2.1's.

    Level i has width `base_dim * dim_mult[i]`. From one level to the next height and width halve, and time too where
    `temporal_downsample` says so. `latents_mean` and `latents_std` are those of the training data, per channel.
    """

    base_dim: int = 96
    dim_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: int = 2
    temporal_downsample: tuple[bool, ...] = (False, True, True)
    z_dim: int = 16
    latents_mean: tuple[float, ...] = (
        *(-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508),
        *(0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921),
    )
    latents_std: tuple[float, ...] = (
        *(2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743),
        *(3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160),
    )

    @classmethod
    def wan21(cls) -> "WanVAEConfig":
        """Return the VAE of Wan 2.1."""
        return cls()

    @classmethod
    def tiny(cls) -> "WanVAEConfig":
        """Return the same levels at a width that a laptop runs in a second."""
        mean, std = cls.latents_mean[:4], cls.latents_std[:4]
        return cls(base_dim=8, num_res_blocks=1, z_dim=4, latents_mean=mean, latents_std=std)

    @property
    def strides(self) -> Strides:
        """Return the pixels that one latent spans."""
        side = 2 ** len(self.temporal_downsample)
        return Strides(2 ** sum(self.temporal_downsample), side, side)

    @classmethod
    def from_published(cls, published: Mapping[str, Any]) -> "WanVAEConfig":
        """Read a config.json; raises WeightsError listing every setting that is not implemented or makes no sense."""
        cfg = cls(**read_settings(cls, published, fixed=FIXED, ignored=IGNORED, spelling=SPELLING))
        refuse(_contradictions(cfg), published)
        return cfg

    def to_published(self) -> dict[str, Any]:
        """Return the config.json that the published class reads."""
        sizes = {SPELLING.get(name, name): value for name, value in asdict(self).items()}
        factors = {"scale_factor_temporal": self.strides.temporal, "scale_factor_spatial": self.strides.height}
        return {"_class_name": CLASS_NAME, **{name: values[0] for name, values in FIXED.items()}, **sizes, **factors}


def _contradictions(cfg: WanVAEConfig) -> list[str]:
    problems = []
    if len(cfg.temporal_downsample) != len(cfg.dim_mult) - 1:
        problems.append(
            f"{len(cfg.dim_mult)} levels (dim_mult) have {len(cfg.dim_mult) - 1} steps between them, "
            f"but temperal_downsample has {len(cfg.temporal_downsample)}"
        )
    for name in ("latents_mean", "latents_std"):
        if (length := len(getattr(cfg, name))) != cfg.z_dim:
            problems.append(f"{name} has {length} values for {cfg.z_dim} channels (z_dim)")
    if not all(std > 0 for std in cfg.latents_std):
        problems.append(f"latents_std {cfg.latents_std} is not positive")
    return problems

"""The sizes of an image VAE with a Gaussian posterior, named as in its published config.json."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mdctl.models.published import read_settings, refuse
from mdctl.spec.shapes import Strides

CLASS_NAME = "AutoencoderKL"

# What the published class can do and this one does not: anything but these values is refused.
FIXED: Mapping[str, tuple[Any, ...]] = {
    "act_fn": ("silu",),
    "in_channels": (3,),
    "latents_mean": (None,),
    "latents_std": (None,),
    "mid_block_add_attention": (True,),
    "out_channels": (3,),
}

# One kind for each level, of which there is one.
BLOCKS = {"down_block_types": "DownEncoderBlock2D", "up_block_types": "UpDecoderBlock2D"}

# It asks for float32 where a pipeline runs in float16; here the dtype of activations is float32 unless said otherwise.
IGNORED = ("force_upcast",)


@dataclass(frozen=True, kw_only=True)
class AutoencoderKLConfig:
    """Levels of the encoder, outermost first; the decoder has them in reverse. The defaults are the published class's.

    From one level to the next height and width halve. `sample_size` is the side of the images it was trained with, and
    of tiles. Denoisers work with (latent - shift_factor) scaling_factor.
    """

    block_out_channels: tuple[int, ...] = (64,)
    layers_per_block: int = 1
    latent_channels: int = 4
    norm_num_groups: int = 32
    sample_size: int = 32
    scaling_factor: float = 0.18215
    shift_factor: float = 0.0
    use_quant_conv: bool = True
    use_post_quant_conv: bool = True

    @classmethod
    def sd(cls) -> "AutoencoderKLConfig":
        """Return the VAE of Stable Diffusion 1 and 2."""
        return cls(block_out_channels=(128, 256, 512, 512), layers_per_block=2, sample_size=512)

    @classmethod
    def sdxl(cls) -> "AutoencoderKLConfig":
        """Return the VAE of SDXL: the same network, trained anew."""
        return cls(
            block_out_channels=(128, 256, 512, 512), layers_per_block=2, sample_size=1024, scaling_factor=0.13025
        )

    @classmethod
    def flux(cls) -> "AutoencoderKLConfig":
        """Return the VAE of Flux: 16 channels, a shift, and no convolution between network and latents."""
        return cls(
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
            latent_channels=16,
            sample_size=1024,
            scaling_factor=0.3611,
            shift_factor=0.1159,
            use_quant_conv=False,
            use_post_quant_conv=False,
        )

    @classmethod
    def tiny(cls) -> "AutoencoderKLConfig":
        """Return the same levels at a width that a laptop runs in a second."""
        return cls(block_out_channels=(8, 16, 16, 16), norm_num_groups=4)

    @property
    def strides(self) -> Strides:
        """Return the pixels that one latent spans; each frame is an image by itself."""
        side = 2 ** (len(self.block_out_channels) - 1)
        return Strides(1, side, side)

    @classmethod
    def from_published(cls, published: Mapping[str, Any]) -> "AutoencoderKLConfig":
        """Read a config.json; raises WeightsError listing every setting that is not implemented or makes no sense."""
        said = {name: value for name, value in published.items() if (name, value) != ("shift_factor", None)}
        cfg = cls(**read_settings(cls, said, fixed=FIXED, ignored=(*IGNORED, *BLOCKS)))
        refuse([*_foreign_blocks(cfg, published), *_contradictions(cfg)], published)
        return cfg

    def to_published(self) -> dict[str, Any]:
        """Return the config.json that the published class reads."""
        blocks = {name: [kind] * len(self.block_out_channels) for name, kind in BLOCKS.items()}
        return {
            "_class_name": CLASS_NAME,
            **{name: values[0] for name, values in FIXED.items()},
            **blocks,
            **asdict(self),
        }


def _foreign_blocks(cfg: AutoencoderKLConfig, published: Mapping[str, Any]) -> list[str]:
    levels = len(cfg.block_out_channels)
    return [
        f"{name}: {published.get(name)!r} is not {levels} times {kind}, for so many levels (block_out_channels)"
        for name, kind in BLOCKS.items()
        if published.get(name, [kind]) not in ([kind] * levels, (kind,) * levels)
    ]


def _contradictions(cfg: AutoencoderKLConfig) -> list[str]:
    problems = []
    if not cfg.block_out_channels:
        problems.append("block_out_channels is empty, but there is at least one level")
    for width in cfg.block_out_channels:
        if width % cfg.norm_num_groups:
            problems.append(
                f"block_out_channels: {width} cannot be cut into {cfg.norm_num_groups} groups (norm_num_groups)"
            )
    if not cfg.scaling_factor > 0:
        problems.append(f"scaling_factor {cfg.scaling_factor} is not positive")
    return problems

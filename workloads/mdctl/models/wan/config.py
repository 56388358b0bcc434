"""The sizes of a Wan 2.1 transformer, named as in its published config.json."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mdctl.models.published import read_settings, refuse
from mdctl.spec.shapes import Strides

CLASS_NAME = "WanTransformer3DModel"
PATCH_SIZE = Strides(1, 2, 2)

# What the published class can do beside: only these values are implemented.
FIXED: Mapping[str, tuple[Any, ...]] = {
    "cross_attn_norm": (True,),
    "qk_norm": ("rms_norm_across_heads",),
    "image_dim": (None,),
    "added_kv_proj_dim": (None,),
    "pos_embed_seq_len": (None,),
}


@dataclass(frozen=True, kw_only=True)
class WanConfig:
    """Sizes of the transformer; the defaults are the published class's, which are those of the 14B model.

    `rope_max_seq_len` bounds the patches along one axis.
    """

    patch_size: Strides = PATCH_SIZE
    num_attention_heads: int = 40
    attention_head_dim: int = 128
    in_channels: int = 16
    out_channels: int = 16
    text_dim: int = 4096
    freq_dim: int = 256
    ffn_dim: int = 13824
    num_layers: int = 40
    eps: float = 1e-6
    rope_max_seq_len: int = 1024

    @classmethod
    def t2v_14b(cls) -> "WanConfig":
        """Return Wan 2.1 text to video, 14B."""
        return cls()

    @classmethod
    def t2v_1_3b(cls) -> "WanConfig":
        """Return Wan 2.1 text to video, 1.3B."""
        return cls(num_attention_heads=12, ffn_dim=8960, num_layers=30)

    @classmethod
    def tiny(cls) -> "WanConfig":
        """Return a model that a laptop trains."""
        return cls(num_attention_heads=4, attention_head_dim=32, text_dim=64, ffn_dim=512, num_layers=4)

    @classmethod
    def from_published(cls, published: Mapping[str, Any]) -> "WanConfig":
        """Read a config.json; raise WeightsError listing every setting that is not implemented."""
        settings = read_settings(cls, published, fixed=FIXED)
        patch, head_dim = settings.get("patch_size", PATCH_SIZE), settings.get("attention_head_dim", 128)
        problems = []
        if (name := published.get("_class_name", CLASS_NAME)) != CLASS_NAME:
            problems.append(f"_class_name: {name} is not implemented here, only {CLASS_NAME} is")
        if len(patch) != len(PATCH_SIZE):
            problems.append(f"patch_size: {patch} has not one size for each of time, height and width")
        if head_dim % 2:
            problems.append(f"attention_head_dim: {head_dim} is odd, and positions need pairs of channels")
        refuse(problems, published)
        return cls(**{**settings, "patch_size": Strides(*patch)})

    def to_published(self) -> dict[str, Any]:
        """Return the config.json that the published class reads."""
        fixed = {name: values[0] for name, values in FIXED.items()}
        return {"_class_name": CLASS_NAME, **fixed, **asdict(self), "patch_size": [*self.patch_size]}

    @property
    def width(self) -> int:
        """Return the width of a token."""
        return self.num_attention_heads * self.attention_head_dim

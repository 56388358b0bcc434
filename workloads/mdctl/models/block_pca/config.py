"""The sizes of a causal block PCA."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mdctl.models.published import read_settings
from mdctl.spec.shapes import Strides

CLASS_NAME = "BlockPCA"


@dataclass(frozen=True, kw_only=True)
class BlockPCAConfig:
    """Strides and channels of the latents; the defaults are those of Wan 2.1."""

    temporal_stride: int = 4
    spatial_stride: int = 8
    latent_channels: int = 16

    @property
    def strides(self) -> Strides:
        """Return the pixels that one latent spans."""
        return Strides(self.temporal_stride, self.spatial_stride, self.spatial_stride)

    @classmethod
    def from_published(cls, published: Mapping[str, Any]) -> "BlockPCAConfig":
        """Read a config.json; raises WeightsError listing every setting that is not known."""
        return cls(**read_settings(cls, published, fixed={}))

    def to_published(self) -> dict[str, Any]:
        """Return the config.json that `from_published` reads."""
        return {"_class_name": CLASS_NAME, **asdict(self)}

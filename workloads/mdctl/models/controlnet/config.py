"""The sizes of a ControlNet, read from and written to its published config.json.

It is the way down and the middle of a UNet, whose settings it repeats, and a few layers for the condition. Settings of
the other half of a UNet are not its own: they are not written, and refused where they are read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mdctl.models.published import read_settings, refuse
from mdctl.models.unet.config import DOWN, UP, UNetConfig

CLASS_NAME = "ControlNetModel"

# What the published class can do beside what a UNet can: only these values are implemented.
FIXED: Mapping[str, tuple[Any, ...]] = {
    "controlnet_conditioning_channel_order": ("rgb",),
    "global_pool_conditions": (False,),
}

SIZES = ("conditioning_channels", "conditioning_embedding_out_channels")

OF_UNETS_ALONE = (
    "attention_type",
    "center_input_sample",
    "class_embeddings_concat",
    "conv_in_kernel",
    "conv_out_kernel",
    "cross_attention_norm",
    "dropout",
    "dual_cross_attention",
    "mid_block_only_cross_attention",
    "out_channels",
    "resnet_out_scale_factor",
    "resnet_skip_time_act",
    "reverse_transformer_layers_per_block",
    "sample_size",
    "time_cond_proj_dim",
    "time_embedding_act_fn",
    "time_embedding_dim",
    "time_embedding_type",
    "timestep_post_act",
    "up_block_types",
)


@dataclass(frozen=True, kw_only=True)
class ControlNetConfig:
    """The UNet whose way down and middle it has, and the layers for its condition, as the published class has them.

    The condition has `conditioning_channels`, and its layers `conditioning_embedding_out_channels`: one number for each
    size of the picture, from whole pixels down to that of the latents.
    """

    unet: UNetConfig
    conditioning_channels: int = 3
    conditioning_embedding_out_channels: tuple[int, ...] = (16, 32, 96, 256)

    @classmethod
    def of(cls, unet: UNetConfig, stride: int = 8) -> "ControlNetConfig":
        """Return the ControlNet of a UNet, whose latents stand for `stride` pixels each way: 1, 2, 4 or 8."""
        shared = replace(unet, sample_size=UNetConfig.sample_size, out_channels=UNetConfig.out_channels)
        widths = cls.conditioning_embedding_out_channels[: stride.bit_length()]
        cfg = cls(unet=shared, conditioning_embedding_out_channels=widths)
        assert cfg.stride == stride, stride
        return cfg

    @classmethod
    def sd15(cls) -> "ControlNetConfig":
        """Return those of Stable Diffusion 1.4 and 1.5."""
        return cls.of(UNetConfig.sd15())

    @classmethod
    def sd21(cls) -> "ControlNetConfig":
        """Return those of Stable Diffusion 2.1, and of 2-base but for what is computed the same here anyway."""
        return cls.of(UNetConfig.sd21())

    @classmethod
    def sdxl(cls) -> "ControlNetConfig":
        """Return those of Stable Diffusion XL base."""
        return cls.of(UNetConfig.sdxl())

    @classmethod
    def tiny(cls) -> "ControlNetConfig":
        """Return one that a laptop trains."""
        return replace(cls.of(UNetConfig.tiny()), conditioning_embedding_out_channels=(4, 8, 16, 32))

    @classmethod
    def from_published(cls, published: Mapping[str, Any]) -> "ControlNetConfig":
        """Read a config.json; raise WeightsError listing the settings that are not implemented or make no sense."""
        own = {name: value for name, value in published.items() if name in (*FIXED, *SIZES, "_class_name")}
        sizes = read_settings(cls, own, fixed=FIXED)
        foreign = [name for name in published if name in OF_UNETS_ALONE]
        problems = [f"{name}: {published[name]!r} is a setting of UNets, not of ControlNets" for name in foreign]
        if sizes.get("conditioning_embedding_out_channels") == ():
            problems.append("conditioning_embedding_out_channels: there is no layer")
        refuse(problems, published)
        shared = {name: value for name, value in published.items() if name not in own or name == "_class_name"}
        if "down_block_types" in shared:
            shared["up_block_types"] = _mirrored(shared["down_block_types"])
        return cls(unet=UNetConfig.from_published(shared, class_name=CLASS_NAME), **sizes)

    def to_published(self) -> dict[str, Any]:
        """Return the config.json that the published class reads."""
        shared = {name: value for name, value in self.unet.to_published().items() if name not in OF_UNETS_ALONE}
        own = {name: values[0] for name, values in FIXED.items()}
        return {
            **shared,
            **own,
            "_class_name": CLASS_NAME,
            "conditioning_channels": self.conditioning_channels,
            "conditioning_embedding_out_channels": [*self.conditioning_embedding_out_channels],
        }

    @property
    def stride(self) -> int:
        """Return how many pixels of the condition stand for one of the latents, each way."""
        return int(2 ** (len(self.conditioning_embedding_out_channels) - 1))

    @property
    def residual_dims(self) -> tuple[int, ...]:
        """Return the channels of what is added to what the way down of a UNet leaves, in its order."""
        widths, count = self.unet.block_out_channels, self.unet.layers_per_block
        last = len(widths) - 1
        levels = ((width,) * (count + (level < last)) for level, width in enumerate(widths))
        return (widths[0], *(dim for level in levels for dim in level))


def _mirrored(down: Any) -> list[str]:
    """Return what a UNet with these blocks has on the way up; none if there is no such UNet."""
    mirror = {DOWN[crosses]: UP[crosses] for crosses in DOWN}
    known = isinstance(down, list | tuple) and all(isinstance(name, str) and name in mirror for name in down)
    return [mirror[name] for name in reversed(down)] if known else []

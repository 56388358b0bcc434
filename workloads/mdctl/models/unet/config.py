"""The sizes of a Stable Diffusion UNet, read from and written to its published config.json.

Where one number stands for all levels there, a tuple has one for each here. What that file calls `attention_head_dim`
is and always was the number of heads; here it is called so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mdctl.models.published import read_settings, refuse

CLASS_NAME = "UNet2DConditionModel"

# Whether a level attends to the text -> the published names of its block on the way down, and on the way up.
DOWN = {False: "DownBlock2D", True: "CrossAttnDownBlock2D"}
UP = {False: "UpBlock2D", True: "CrossAttnUpBlock2D"}

NUM_SIZES = 6
"""Height and width of the original, top and left of the crop, height and width asked for."""

# What the published class can do beside: only these values are implemented.
FIXED: Mapping[str, tuple[Any, ...]] = {
    "act_fn": ("silu",),
    "addition_embed_type": (None, "text_time"),
    "addition_embed_type_num_heads": (64,),
    "attention_type": ("default",),
    "center_input_sample": (False,),
    "class_embed_type": (None,),
    "class_embeddings_concat": (False,),
    "conv_in_kernel": (3,),
    "conv_out_kernel": (3,),
    "cross_attention_norm": (None,),
    "downsample_padding": (1,),
    "dropout": (0.0,),
    "dual_cross_attention": (False,),
    "encoder_hid_dim": (None,),
    "encoder_hid_dim_type": (None,),
    "flip_sin_to_cos": (True,),
    "freq_shift": (0,),
    "mid_block_only_cross_attention": (None, False),
    "mid_block_scale_factor": (1,),
    "mid_block_type": ("UNetMidBlock2DCrossAttn",),
    "num_attention_heads": (None,),
    "num_class_embeds": (None,),
    "only_cross_attention": (False,),
    "resnet_out_scale_factor": (1.0,),
    "resnet_skip_time_act": (False,),
    "resnet_time_scale_shift": ("default",),
    "reverse_transformer_layers_per_block": (None,),
    "time_cond_proj_dim": (None,),
    "time_embedding_act_fn": (None,),
    "time_embedding_dim": (None,),
    "time_embedding_type": ("positional",),
    "timestep_post_act": (None,),
}

BLOCK_TYPES = ("down_block_types", "up_block_types")

SPELLING = {"num_heads": "attention_head_dim"}

# One number for all levels, or one for each.
PER_LEVEL = {"attention_head_dim": 8, "transformer_layers_per_block": 1}

# null is as good as left out; the sizes among them are 0 here where there is none.
OPTIONAL = ("sample_size", "addition_time_embed_dim", "projection_class_embeddings_input_dim")
NULLABLE = (*OPTIONAL, "upcast_attention")


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """Levels, outermost first, and what they are made of; the defaults are the published class's.

    Level i has width `block_out_channels[i]`, and `cross_attention[i]` says whether it has transformers, of
    `transformer_layers_per_block[i]` blocks with `num_heads[i]` heads; the middle has those of the last level.
    `sample_size` is the side of the latents it was trained on. `projection_class_embeddings_input_dim` is the width of
    the pooled text plus NUM_SIZES embeddings of `addition_time_embed_dim`. All three are 0 where there is none.
    """

    sample_size: int = 0
    in_channels: int = 4
    out_channels: int = 4
    block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280)
    cross_attention: tuple[bool, ...] = (True, True, True, False)
    layers_per_block: int = 2
    transformer_layers_per_block: tuple[int, ...] = (1, 1, 1, 1)
    num_heads: tuple[int, ...] = (8, 8, 8, 8)
    cross_attention_dim: int = 1280
    norm_num_groups: int = 32
    norm_eps: float = 1e-5
    use_linear_projection: bool = False
    upcast_attention: bool = False
    addition_time_embed_dim: int = 0
    projection_class_embeddings_input_dim: int = 0

    @classmethod
    def sd15(cls) -> "UNetConfig":
        """Return Stable Diffusion 1.4 and 1.5."""
        return cls(sample_size=64, cross_attention_dim=768)

    @classmethod
    def sd2(cls) -> "UNetConfig":
        """Return Stable Diffusion 2-base."""
        return cls(sample_size=64, num_heads=(5, 10, 20, 20), cross_attention_dim=1024, use_linear_projection=True)

    @classmethod
    def sd21(cls) -> "UNetConfig":
        """Return Stable Diffusion 2.1, of 768 pixels."""
        return cls(
            sample_size=96,
            num_heads=(5, 10, 20, 20),
            cross_attention_dim=1024,
            use_linear_projection=True,
            upcast_attention=True,
        )

    @classmethod
    def sdxl(cls) -> "UNetConfig":
        """Return Stable Diffusion XL base."""
        return cls(
            sample_size=128,
            block_out_channels=(320, 640, 1280),
            cross_attention=(False, True, True),
            transformer_layers_per_block=(1, 2, 10),
            num_heads=(5, 10, 20),
            cross_attention_dim=2048,
            use_linear_projection=True,
            addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=2816,
        )

    @classmethod
    def tiny(cls) -> "UNetConfig":
        """Return a model that a laptop trains."""
        return cls(
            sample_size=8,
            block_out_channels=(32, 64),
            cross_attention=(False, True),
            layers_per_block=1,
            transformer_layers_per_block=(1, 1),
            num_heads=(2, 4),
            cross_attention_dim=64,
            norm_num_groups=8,
        )

    @classmethod
    def from_published(cls, published: Mapping[str, Any], *, class_name: str = CLASS_NAME) -> "UNetConfig":
        """Read a config.json; raise WeightsError listing every setting that is not implemented or makes no sense.

        `class_name` is the published class that it must be of.
        """
        settings = {name: value for name, value in published.items() if value is not None or name not in NULLABLE}
        levels = settings.get("block_out_channels", cls.block_out_channels)
        for name, default in PER_LEVEL.items():
            value = settings.get(name, default)
            is_one = isinstance(value, int) and not isinstance(value, bool)
            settings[name] = [value] * len(levels) if is_one and isinstance(levels, Sequence) else value
        sizes = read_settings(cls, settings, fixed=FIXED, ignored=BLOCK_TYPES, spelling=SPELLING)
        down = published.get("down_block_types", [DOWN[crosses] for crosses in cls.cross_attention])
        up = published.get("up_block_types", [UP[crosses] for crosses in reversed(cls.cross_attention)])
        crossing = {name: crosses for crosses, name in DOWN.items()}
        known = isinstance(down, list | tuple) and all(isinstance(name, str) and name in crossing for name in down)
        cfg = cls(**{**sizes, "cross_attention": tuple(crossing[name] for name in down) if known else ()})
        problems = _contradictions(cfg, published.get("addition_embed_type"))
        if (name := published.get("_class_name", class_name)) != class_name:
            problems.append(f"_class_name: {name} is not implemented here, only {class_name} is")
        if not known:
            problems.append(f"down_block_types: {down} is not implemented, only {' and '.join(crossing)} are")
        elif not isinstance(up, list | tuple) or [*up] != cfg.up_block_types:
            problems.append(f"up_block_types: {up} does not mirror down_block_types {down}")
        refuse(problems, published)
        return cfg

    def to_published(self) -> dict[str, Any]:
        """Return the config.json that the published class reads."""
        sizes = {SPELLING.get(name, name): value for name, value in asdict(self).items() if name != "cross_attention"}
        for name, value in sizes.items():
            if isinstance(value, tuple):
                sizes[name] = value[0] if name in PER_LEVEL and len({*value}) == 1 else [*value]
        return {
            "_class_name": CLASS_NAME,
            **{name: values[0] for name, values in FIXED.items()},
            **{name: None if name in OPTIONAL and not value else value for name, value in sizes.items()},
            "addition_embed_type": "text_time" if self.addition_time_embed_dim else None,
            "down_block_types": [DOWN[crosses] for crosses in self.cross_attention],
            "up_block_types": self.up_block_types,
        }

    @property
    def up_block_types(self) -> list[str]:
        """Return the published names of the blocks on the way up, innermost first."""
        return [UP[crosses] for crosses in reversed(self.cross_attention)]

    @property
    def time_dim(self) -> int:
        """Return the width of the time's embedding."""
        return 4 * self.block_out_channels[0]

    @property
    def pooled_dim(self) -> int:
        """Return the width of the pooled text; 0 where none is taken."""
        return self.projection_class_embeddings_input_dim - NUM_SIZES * self.addition_time_embed_dim


def _contradictions(cfg: UNetConfig, addition: Any) -> list[str]:
    """Say which settings, each fine by itself, do not go together."""
    widths, heads = cfg.block_out_channels, cfg.num_heads
    depths, problems = cfg.transformer_layers_per_block, []
    if not widths:
        return ["block_out_channels: there is no level"]
    for name, values in (("attention_head_dim", heads), ("transformer_layers_per_block", depths)):
        if len(values) != len(widths):
            problems.append(f"{name} has {len(values)} values for {len(widths)} levels (block_out_channels)")
    if cfg.cross_attention and len(cfg.cross_attention) != len(widths):
        levels = f"{len(widths)} levels (block_out_channels)"
        problems.append(f"down_block_types has {len(cfg.cross_attention)} values for {levels}")
    problems += [
        f"block_out_channels: {width} channels are not {count} {what}"
        for what, counts in (("heads (attention_head_dim)", heads), ("groups (norm_num_groups)", None))
        for width, count in zip(widths, counts or [cfg.norm_num_groups] * len(widths), strict=False)
        if width % count
    ]
    if widths[0] % 2 or cfg.addition_time_embed_dim % 2:
        problems.append("block_out_channels, addition_time_embed_dim: sinusoids need an even number of channels")
    if (addition == "text_time") != (cfg.addition_time_embed_dim > 0) or (addition is None) != (cfg.pooled_dim == 0):
        problems.append(
            f"addition_embed_type {addition} does not go with addition_time_embed_dim {cfg.addition_time_embed_dim} "
            f"and projection_class_embeddings_input_dim {cfg.projection_class_embeddings_input_dim}"
        )
    if cfg.pooled_dim < 0:
        problems.append(
            f"projection_class_embeddings_input_dim: {cfg.projection_class_embeddings_input_dim} is less than "
            f"{NUM_SIZES} times addition_time_embed_dim {cfg.addition_time_embed_dim}"
        )
    return problems

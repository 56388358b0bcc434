"""The sizes of a CLIP text encoder, named as in its published config.json."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mdctl.models.published import read_settings, refuse

PLAIN = ("CLIPTextModel",)
PROJECTED = ("CLIPTextModelWithProjection",)

ACTIVATIONS = ("quick_gelu", "gelu")

# What the published class can do and this one does not: anything but these values is refused.
FIXED: Mapping[str, tuple[Any, ...]] = {"model_type": ("clip_text_model",)}

# Of training, of the tokenizer, of the library that wrote the file: none of it changes the encoder. The end of a text
# is `eos_token_id`, and what a prompt is padded with is up to the tokenizer.
IGNORED = (
    *("attention_dropout", "bos_token_id", "chunk_size_feed_forward", "dropout", "dtype", "id2label"),
    *("initializer_factor", "initializer_range", "is_encoder_decoder", "label2id", "output_attentions"),
    *("output_hidden_states", "pad_token_id", "problem_type", "return_dict", "tie_word_embeddings"),
    *("torch_dtype", "transformers_version", "use_cache"),
)


@dataclass(frozen=True, kw_only=True)
class CLIPTextConfig:
    """Sizes of the encoder; the defaults are the published class's.

    `architectures` names that class: the second has a projection of the pooled output to `projection_dim`, which means
    nothing to the first. Where `eos_token_id` is 2, which is no end of any text, the highest number of a row is its
    end: so the files have it that were published before this setting was read.
    """

    architectures: tuple[str, ...] = PLAIN
    vocab_size: int = 49408
    hidden_size: int = 512
    intermediate_size: int = 2048
    projection_dim: int = 512
    num_hidden_layers: int = 12
    num_attention_heads: int = 8
    max_position_embeddings: int = 77
    hidden_act: str = "quick_gelu"
    layer_norm_eps: float = 1e-5
    eos_token_id: int = 49407

    @classmethod
    def clip_l(cls) -> "CLIPTextConfig":
        """Return the encoder of Stable Diffusion 1, the first of SDXL and the pooled one of Flux."""
        return cls(hidden_size=768, intermediate_size=3072, projection_dim=768, num_attention_heads=12, eos_token_id=2)

    @classmethod
    def openclip_h(cls) -> "CLIPTextConfig":
        """Return the encoder of Stable Diffusion 2: OpenCLIP's ViT-H without the last of its 24 layers."""
        return cls(
            hidden_size=1024,
            intermediate_size=4096,
            num_hidden_layers=23,
            num_attention_heads=16,
            hidden_act="gelu",
            eos_token_id=2,
        )

    @classmethod
    def openclip_bigg(cls) -> "CLIPTextConfig":
        """Return the second encoder of SDXL: OpenCLIP's ViT-bigG, with its projection."""
        return cls(
            architectures=PROJECTED,
            hidden_size=1280,
            intermediate_size=5120,
            projection_dim=1280,
            num_hidden_layers=32,
            num_attention_heads=20,
            hidden_act="gelu",
            eos_token_id=2,
        )

    @classmethod
    def tiny(cls) -> "CLIPTextConfig":
        """Return an encoder that a laptop runs in a second."""
        return cls(
            vocab_size=1024,
            hidden_size=64,
            intermediate_size=128,
            projection_dim=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            eos_token_id=2,
        )

    @property
    def projected(self) -> bool:
        """Whether the pooled output is projected."""
        return self.architectures == PROJECTED

    @classmethod
    def from_published(cls, published: Mapping[str, Any]) -> "CLIPTextConfig":
        """Read a config.json; raises WeightsError listing every setting that is not implemented or makes no sense."""
        said = {name: value for name, value in published.items() if (name, value) != ("architectures", None)}
        cfg = cls(**read_settings(cls, said, fixed=FIXED, ignored=IGNORED))
        refuse(_contradictions(cfg), published)
        return cfg

    def to_published(self) -> dict[str, Any]:
        """Return the config.json that the published class reads."""
        sizes = {**asdict(self), "architectures": list(self.architectures)}
        return {**{name: values[0] for name, values in FIXED.items()}, **sizes}


def _contradictions(cfg: CLIPTextConfig) -> list[str]:
    problems = []
    if cfg.architectures not in (PLAIN, PROJECTED):
        known = f"{list(PLAIN)} or {list(PROJECTED)}"
        problems.append(f"architectures: {list(cfg.architectures)} is not implemented, only {known}")
    if cfg.hidden_act not in ACTIVATIONS:
        problems.append(f"hidden_act: {cfg.hidden_act!r} is not implemented, only {' or '.join(ACTIVATIONS)}")
    if cfg.hidden_size % cfg.num_attention_heads:
        problems.append(
            f"hidden_size: {cfg.hidden_size} cannot be cut into {cfg.num_attention_heads} heads (num_attention_heads)"
        )
    return problems

"""The sizes of a UMT5 encoder, named as in its published config.json."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mdctl.models.published import read_settings
from mdctl.models.umt5.tokenizer import EOS_ID, PAD_ID

CLASS_NAME = "UMT5EncoderModel"

# What the published class can do and this one does not: anything but these values is refused.
FIXED: Mapping[str, tuple[Any, ...]] = {
    "architectures": ([CLASS_NAME], None),
    "dense_act_fn": ("gelu_new",),
    "eos_token_id": (EOS_ID,),
    "feed_forward_proj": ("gated-gelu",),
    "is_decoder": (False,),
    "is_gated_act": (True,),
    "model_type": ("umt5",),
    "pad_token_id": (PAD_ID,),
}

# Of the decoder, of training, of generation, of the library that wrote the file: none of it changes the encoder.
# `scalable_attention` is read by no published implementation, and tied or not, both embeddings are the encoder's.
IGNORED = (
    *("chunk_size_feed_forward", "classifier_dropout", "decoder_start_token_id", "dropout_rate", "dtype"),
    *("id2label", "initializer_factor", "is_encoder_decoder", "label2id", "num_decoder_layers", "output_attentions"),
    *("output_hidden_states", "output_past", "problem_type", "return_dict", "scalable_attention"),
    *("tie_word_embeddings", "tokenizer_class", "torch_dtype", "transformers_version", "use_cache"),
)


@dataclass(frozen=True, kw_only=True)
class UMT5Config:
    """Sizes of the encoder; the defaults are the published class's, which are those of umt5-small."""

    vocab_size: int = 250112
    d_model: int = 512
    d_kv: int = 64
    d_ff: int = 1024
    num_layers: int = 8
    num_heads: int = 6
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    layer_norm_epsilon: float = 1e-6

    @classmethod
    def umt5_xxl(cls) -> "UMT5Config":
        """Return the encoder that Wan reads its prompts with."""
        return cls(vocab_size=256384, d_model=4096, d_ff=10240, num_layers=24, num_heads=64)

    @classmethod
    def tiny(cls) -> "UMT5Config":
        """Return an encoder that a laptop runs in a second."""
        return cls(vocab_size=512, d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4)

    @classmethod
    def from_published(cls, published: Mapping[str, Any]) -> "UMT5Config":
        """Read a config.json; raises WeightsError listing every setting that is not implemented."""
        return cls(**read_settings(cls, published, fixed=FIXED, ignored=IGNORED))

    def to_published(self) -> dict[str, Any]:
        """Return the config.json that the published class reads."""
        return {**{name: values[0] for name, values in FIXED.items()}, **asdict(self)}

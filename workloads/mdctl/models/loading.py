"""Codecs and text encoders from a repository of weights in the Hugging Face layout.

A repository names its codec in `vae/config.json` (`_class_name`), its text encoder in `text_encoder/config.json`
(`architectures`), and has the encoder's tokenizer in `tokenizer/`. The two tables say which model of ours each name is.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import jax.numpy as jnp
from jax.typing import DTypeLike

from mdctl.models import block_pca, umt5, wan_vae
from mdctl.models.codec import Codec, CodecModel, as_codec
from mdctl.models.text import TextEncoder, as_text_encoder
from mdctl.models.weights import read_config
from mdctl.spec.errors import WeightsError

CODECS: Mapping[str, Callable[[Path, DTypeLike], CodecModel]] = {
    "AutoencoderKLWan": wan_vae.load,
    "BlockPCA": block_pca.load,
}

TEXT_ENCODERS: Mapping[str, Callable[[Path, DTypeLike], umt5.UMT5Encoder]] = {"UMT5EncoderModel": umt5.load}

TEXT_LENGTH = 512
"""Tokens that every prompt is padded or cut to, as in the original pipeline of Wan."""


def load_codec(repository: Path, *, dtype: DTypeLike = jnp.float32) -> Codec:
    """Load the codec of a repository; `dtype` is that of its activations.

    Raises WeightsError if the codec is not in `CODECS`, or its weights do not fit it.
    """
    folder = repository / "vae"
    name = read_config(folder).get("_class_name")
    if name not in CODECS:
        raise WeightsError(f"{folder}: codec {name} is not known, only {', '.join(CODECS)}. Name another repository.")
    return as_codec(CODECS[name](folder, dtype))


def load_text_encoder(repository: Path, *, dtype: DTypeLike = jnp.float32) -> TextEncoder:
    """Load the text encoder of a repository and its tokenizer; `dtype` is that of weights and activations.

    Raises WeightsError if the encoder is not in `TEXT_ENCODERS`, or its weights or tokenizer do not fit it.
    """
    folder = repository / "text_encoder"
    (name, *_) = read_config(folder).get("architectures") or [None]
    if name not in TEXT_ENCODERS:
        known = ", ".join(TEXT_ENCODERS)
        raise WeightsError(f"{folder}: text encoder {name} is not known, only {known}. Name another repository.")
    tokenizer = umt5.Tokenizer.load(repository / "tokenizer", length=TEXT_LENGTH)
    return as_text_encoder(TEXT_ENCODERS[name](folder, dtype), tokenizer, length=TEXT_LENGTH)

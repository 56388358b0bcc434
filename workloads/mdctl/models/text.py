"""Text encoders as one value: prompts to embeddings, whichever model stands behind it.

A repository of weights in the Hugging Face layout names its encoder in `text_encoder/config.json` (`architectures`) and
has the tokenizer beside it, in `tokenizer/`; `TEXT_ENCODERS` says which model of ours that is. Everything outside
`models/` takes the value.

Letters: B prompts, S tokens, D width.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from mdctl.models import umt5
from mdctl.models.weights import read_config
from mdctl.parallel.precision import full_precision
from mdctl.spec.errors import WeightsError

LENGTH = 512
"""Tokens that every prompt is padded or cut to, as in the original pipeline of Wan; fewer if the tokenizer says so."""

Encode = Callable[[Sequence[str]], Float[Array, "B S D"]]
Tokenize = Callable[[Sequence[str]], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, kw_only=True)
class TextEncoder:
    """Prompts to float32 embeddings [B, length, width], zero past the end of each prompt.

    All positions may be attended to, the zeros too, as in the original pipeline of Wan. Jitted, on the devices of this
    process; compiles once per number of prompts.
    """

    length: int
    width: int
    encode: Encode


@runtime_checkable
class TextModel(Protocol):
    """What the model behind a text encoder offers."""

    @property
    def width(self) -> int:
        """Return the width of an embedding."""
        ...

    def __call__(self, tokens_BS: Int[Array, "B S"], mask_BS: Bool[Array, "B S"]) -> Float[Array, "B S D"]:
        """Return the embedding of every token that `mask_BS` leaves."""
        ...


TEXT_ENCODERS: Mapping[str, Callable[[Path, DTypeLike], TextModel]] = {"UMT5EncoderModel": umt5.load}


def load_text_encoder(repository: Path, *, dtype: DTypeLike = jnp.float32) -> TextEncoder:
    """Load the text encoder of a repository and its tokenizer; `dtype` is that of weights and activations.

    Raises WeightsError if the encoder is not in `TEXT_ENCODERS`, or its weights or tokenizer do not fit it.
    """
    folder = repository / "text_encoder"
    (name, *_) = read_config(folder).get("architectures") or [None]
    if name not in TEXT_ENCODERS:
        known = ", ".join(TEXT_ENCODERS)
        raise WeightsError(f"{folder}: text encoder {name} is not known, only {known}. Name another repository.")
    tokenizer = umt5.Tokenizer.load(repository / "tokenizer", length=LENGTH)
    return as_text_encoder(TEXT_ENCODERS[name](folder, dtype), tokenizer, length=tokenizer.length)


def as_text_encoder(model: TextModel, tokenize: Tokenize, *, length: int) -> TextEncoder:
    """Return the value of a model, jitted over its parameters; `tokenize` gives numbers and mask [B, length]."""
    graphdef, params = nnx.split(model)

    @jax.jit
    @full_precision
    def embed(
        params: nnx.State[Any, Any], tokens_BS: Int[Array, "B S"], mask_BS: Bool[Array, "B S"]
    ) -> Float[Array, "B S D"]:
        embeddings_BSD = nnx.merge(graphdef, params)(tokens_BS, mask_BS).astype(jnp.float32)
        return jnp.where(rearrange(mask_BS, "b s -> b s 1"), embeddings_BSD, 0.0)

    return TextEncoder(
        length=length, width=model.width, encode=lambda prompts: embed(params, *map(jnp.asarray, tokenize(prompts)))
    )

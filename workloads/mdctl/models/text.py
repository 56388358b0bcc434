"""Text encoders as one value: prompts to embeddings, whichever model stands behind it.

Everything outside `models/` takes this value; `loading.py` makes it from a repository of weights.

Letters: B prompts, S tokens, D width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

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


class TextModel(Protocol):
    """What the model behind a text encoder offers."""

    @property
    def width(self) -> int:
        """Return the width of an embedding."""
        ...

    def __call__(self, tokens_BS: Int[Array, "B S"], mask_BS: Bool[Array, "B S"]) -> Float[Array, "B S D"]:
        """Return the embedding of every token that `mask_BS` leaves."""
        ...


def as_text_encoder(model: TextModel, tokenize: Tokenize, *, length: int) -> TextEncoder:
    """Return the value of a model, jitted over its parameters; `tokenize` gives numbers and mask [B, length]."""
    graphdef, params = nnx.split(model)

    @jax.jit
    def embed(
        params: nnx.State[Any, Any], tokens_BS: Int[Array, "B S"], mask_BS: Bool[Array, "B S"]
    ) -> Float[Array, "B S D"]:
        embeddings_BSD = nnx.merge(graphdef, params)(tokens_BS, mask_BS).astype(jnp.float32)
        return jnp.where(rearrange(mask_BS, "b s -> b s 1"), embeddings_BSD, 0.0)

    return TextEncoder(
        length=length, width=model.width, encode=lambda prompts: embed(params, *map(jnp.asarray, tokenize(prompts)))
    )

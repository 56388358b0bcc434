"""Prompts to what the UNet is conditioned on: one text encoder, or two of which the second also pools.

    SD 1, SD 2    text = the last layer's output, after its norm                        (1)
    SDXL          text = [penultimate of the first; penultimate of the second]          (2)
                  pooled = the projection of the second's end of text                   (3)

A repository of SDXL may want zeros for a prompt that is empty (`force_zeros_for_empty_prompt` of model_index.json, true
where it does not say), which is what it was trained with when captions were dropped.

Letters: B prompts, S tokens, E width of the text, P width of the pooled text.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Int

from mdctl.models import clip
from mdctl.models.family import TextConditioning
from mdctl.parallel.precision import full_precision
from mdctl.storage.tensors import read_json

SECOND = "text_encoder_2"

TextEncode = Callable[[Sequence[str]], TextConditioning]
Run = Callable[[Int[np.ndarray, "B S"]], clip.Encoding]


def load_text(repository: Path, dtype: DTypeLike) -> TextEncode:
    """Load the text encoders of a repository and their tokenizers; `dtype` is that of weights and activations."""
    first, tokens = _load(repository, "text_encoder", "tokenizer", dtype)
    if not is_double(repository):
        return lambda prompts: {"text": first(tokens(prompts)).last}
    second, other_tokens = _load(repository, SECOND, "tokenizer_2", dtype)
    zeros = read_json(repository / "model_index.json").get("force_zeros_for_empty_prompt", True)

    def encode(prompts: Sequence[str]) -> TextConditioning:
        one, two = first(tokens(prompts)), second(other_tokens(prompts))
        text = jnp.concatenate([one.penultimate, two.penultimate], axis=-1)
        said = np.array([bool(prompt) or not zeros for prompt in prompts])
        return {"text": jnp.where(said[:, None, None], text, 0), "pooled": jnp.where(said[:, None], two.pooled, 0)}

    return encode


def is_double(repository: Path) -> bool:
    """Return whether a repository has two text encoders."""
    return (repository / SECOND).is_dir()


def text_folders(repository: Path) -> tuple[str, ...]:
    """Return the folders that text conditioning depends on."""
    first = ("text_encoder", "tokenizer")
    return (*first, SECOND, "tokenizer_2") if is_double(repository) else first


def _load(repository: Path, encoder: str, tokenizer: str, dtype: DTypeLike) -> tuple[Run, clip.Tokenizer]:
    model = clip.load(repository / encoder, dtype)
    tokens = clip.Tokenizer.load(repository / tokenizer, length=model.cfg.max_position_embeddings)
    return as_encoder(model), tokens


def as_encoder(model: clip.CLIPTextEncoder) -> Run:
    """Return a text encoder as a function of tokens, jitted over its parameters, that gives float32."""
    graphdef, params = nnx.split(model)

    @jax.jit
    @full_precision
    def run(params: nnx.State[Any, Any], tokens_BS: Int[Array, "B S"]) -> clip.Encoding:
        return clip.Encoding(*(part.astype(jnp.float32) for part in nnx.merge(graphdef, params)(tokens_BS)))

    return lambda tokens_BS: run(params, jnp.asarray(tokens_BS))

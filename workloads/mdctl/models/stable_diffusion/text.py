"""Prompts to what the UNet is conditioned on: one text encoder, or two of which the second also pools.

    SD 1, SD 2    text = the last layer's output, after its norm                        (1)
    SDXL          text = [penultimate of the first; penultimate of the second]          (2)
                  pooled = the projection of the second's end of text                   (3)

A repository of SDXL may want zeros for a prompt that is empty (`force_zeros_for_empty_prompt` of model_index.json, true
where it does not say), which is what it was trained with when captions were dropped.

Letters: B prompts, S tokens, E width of the text, P width of the pooled text.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float32

from mdctl.diffusion.denoise import Params
from mdctl.models import clip, weights
from mdctl.models.clip.sharding import LAYOUT
from mdctl.models.clip.weights import IGNORED, TABLE
from mdctl.models.family import PublishedPart, TextConditioning, TextEncoders
from mdctl.parallel.execution import Execution
from mdctl.parallel.precision import full_precision
from mdctl.parallel.rules import under
from mdctl.storage.tensors import read_json

FIRST, SECOND = "text_encoder", "text_encoder_2"
TOKENIZERS = {FIRST: "tokenizer", SECOND: "tokenizer_2"}
INDEX = "model_index.json"
SAID = "said"
"""1 for a prompt, 0 where there is none and zeros stand for it."""


def open_text(repository: Path, execution: Execution) -> TextEncoders:
    """Return the text encoders of a repository as functions of their parameters."""
    parts = encoders_of(repository)
    configs = {part: clip.CLIPTextConfig.from_published(weights.read_config(repository / part)) for part in parts}
    models = {part: _split(cfg, execution) for part, cfg in configs.items()}
    abstract = {part: params for part, (_, params) in models.items()}

    @full_precision
    def encode(params: Params, tokens: Mapping[str, Float32[Array, "B ..."]]) -> TextConditioning:
        encodings = [
            nnx.merge(graphdef, params[part])(tokens[part].astype(jnp.int32)) for part, (graphdef, _) in models.items()
        ]
        return _combined(encodings, tokens.get(SAID))

    def load(shardings: Any) -> Params:
        laid = dict.fromkeys(parts) if shardings is None else shardings
        return {
            part: weights.load(TABLE, repository / part, abstract[part], laid[part], ignored=IGNORED) for part in parts
        }

    def save(params: Params, folder: Path) -> None:
        for part, cfg in configs.items():
            weights.save(TABLE, params[part], folder / part, config=cfg.to_published(), stem="model")

    return TextEncoders(
        encode=encode,
        tokenize=lambda prompts: _tokenize(repository, configs, prompts),
        shapes={
            **{part: (cfg.max_position_embeddings,) for part, cfg in configs.items()},
            **({SAID: ()} if SECOND in parts else {}),
        },
        abstract=abstract,
        layout=tuple(rule for part in parts for rule in under(part, LAYOUT)),
        load=load,
        save=save,
        parts={part: PublishedPart(TABLE, params, (part,)) for part, params in abstract.items()},
    )


def load_text(repository: Path, dtype: DTypeLike) -> Callable[[Sequence[str]], TextConditioning]:
    """Load the text encoders of a repository and their tokenizers; `dtype` is that of weights and activations."""
    text = open_text(repository, Execution(dtype=dtype, param_dtype=dtype))
    return text.encoder(text.load(None))


def encoders_of(repository: Path) -> tuple[str, ...]:
    """Return the folders of a repository's text encoders."""
    return (FIRST, SECOND) if (repository / SECOND).is_dir() else (FIRST,)


def text_sources(repository: Path) -> tuple[str, ...]:
    """Return the folders and files that text conditioning depends on."""
    parts = encoders_of(repository)
    folders = tuple(folder for part in parts for folder in (part, TOKENIZERS[part]))
    return (*folders, INDEX) if SECOND in parts else folders


def _split(cfg: clip.CLIPTextConfig, execution: Execution) -> tuple[Any, Params]:
    return nnx.split(nnx.eval_shape(lambda: clip.CLIPTextEncoder(cfg, execution=execution, rngs=nnx.Rngs(0))))


def _combined(encodings: Sequence[clip.Encoding], said: Float32[Array, " B"] | None) -> TextConditioning:
    """Return (1) of one encoding; (2) and (3) of two, zero where nothing is said."""
    if len(encodings) == 1:
        return {"text": encodings[0].last.astype(jnp.float32)}
    assert said is not None
    first, second = encodings
    text = jnp.concatenate([first.penultimate, second.penultimate], axis=-1).astype(jnp.float32)
    return {
        "text": text * jnp.expand_dims(said, (1, 2)),
        "pooled": second.pooled.astype(jnp.float32) * jnp.expand_dims(said, 1),
    }


def _tokenize(repository: Path, configs: Mapping[str, clip.CLIPTextConfig], prompts: Sequence[str]) -> TextConditioning:
    """Return the tokens of each encoder, float32 as all conditioning is, and whether there is a prompt."""
    arrays = {
        part: jnp.asarray(_tokenizer(repository / TOKENIZERS[part], cfg.max_position_embeddings)(prompts), jnp.float32)
        for part, cfg in configs.items()
    }
    if SECOND not in configs:
        return arrays
    zeros = read_json(repository / INDEX).get("force_zeros_for_empty_prompt", True)
    return {**arrays, SAID: jnp.array([bool(prompt) or not zeros for prompt in prompts], jnp.float32)}


@cache
def _tokenizer(folder: Path, length: int) -> clip.Tokenizer:
    return clip.Tokenizer.load(folder, length=length)

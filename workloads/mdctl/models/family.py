"""The one joint between model families and the rest: a value that training, sampling and storage take.

A family says what its networks were trained to undo, which geometry its latents have, how prompts become conditioning
and pixels become latents, and gives the denoiser as plain functions over a tree of parameters. Adding a family is
adding a folder and a line in `FAMILIES`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import jax
from jax.typing import DTypeLike
from jaxtyping import Array, Float32

from mdctl.diffusion.denoise import Denoise, Params
from mdctl.diffusion.process import Process
from mdctl.models.codec import Codec
from mdctl.parallel.execution import Execution
from mdctl.parallel.rules import ParameterLayout
from mdctl.spec.catalogue import CatalogueModel
from mdctl.spec.shapes import LatentShape, PixelShape

TextConditioning = Mapping[str, Float32[Array, "B ..."]]
"""What prompts become: arrays with the prompts as leading dim."""


@dataclass(frozen=True, kw_only=True)
class Denoiser:
    """A network as functions of its parameters, built for one execution.

    `abstract` is the tree of parameters as ShapeDtypeStructs, `layout` their logical axes; `init` draws them from a key
    and `load` fills them from a folder of published weights, laid out by a tree of shardings like `abstract`.
    """

    denoise: Denoise
    abstract: Params
    layout: ParameterLayout
    init: Callable[[jax.Array], Params]
    load: Callable[[Path, Any], Params]
    decay_mask: Callable[[Params], Any]


@dataclass(frozen=True, kw_only=True)
class Family:
    """What the rest of mdctl knows of a family of models. A repository is a folder in the Hugging Face layout.

    `load_text` takes the dtype in which the encoder is held and computes; what it gives is float32 in any case.
    `configure(model, repository)` gives the denoiser's configuration: the repository's, or without one the catalogue's.
    """

    process: Process
    latent_shape: Callable[[CatalogueModel, PixelShape], LatentShape]
    configure: Callable[[CatalogueModel, Path | None], Any]
    denoiser: Callable[[Any, Execution], Denoiser]
    conditioning: Callable[[Any, int], Mapping[str, jax.ShapeDtypeStruct]]
    load_text: Callable[[Path, DTypeLike], Callable[[Sequence[str]], TextConditioning]]
    load_codec: Callable[[Path], Codec]
    sampling_shift: Callable[[Path], float]


FAMILIES: Mapping[str, str] = {"wan": "mdctl.models.wan.family"}
"""Family -> the module whose `FAMILY` it is; imported when it is asked for."""


def find_family(model: CatalogueModel) -> Family:
    """Return the family of a model."""
    family = import_module(FAMILIES[model.family]).FAMILY
    assert isinstance(family, Family)
    return family

"""The one joint between model families and the rest: a value that training, sampling and storage take.

A family says what its networks were trained to undo and how they are sampled, which geometry its latents have, how
prompts become conditioning and pixels become latents, and gives the denoiser as plain functions over a tree of
parameters. Adding a family is adding a folder and a line in `FAMILIES`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float32

from mdctl.data.framing import Framing
from mdctl.diffusion.denoise import Denoise, Params
from mdctl.diffusion.process import Process
from mdctl.diffusion.samplers.sampler import Sampler
from mdctl.models.codec import Codec
from mdctl.parallel.execution import Execution
from mdctl.parallel.rules import ParameterLayout
from mdctl.spec.catalogue import CatalogueModel
from mdctl.spec.sampling import Sampling
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


class Settled(NamedTuple):
    """A sampler, and by their names in the spec the settings in effect that a spec may leave to the repository."""

    sampler: Sampler
    settings: Mapping[str, str | float]


@dataclass(frozen=True, kw_only=True)
class Family:
    """What the rest of mdctl knows of a family of models. A repository is a folder in the Hugging Face layout.

    `process(model, repository)` and `configure(model, repository)` give what the denoiser was trained to undo and its
    configuration: the repository's, or without one the catalogue's. `framing` is what the network is told, beside the
    text, of how a picture was scaled and cut. `load_text` takes the dtype in which encoders are held and compute; what
    it gives is float32 in any case, and depends on the folders `text_folders` of the repository.
    """

    process: Callable[[CatalogueModel, Path | None], Process]
    sampler: Callable[[Sampling, Path], Settled]
    latent_shape: Callable[[CatalogueModel, PixelShape], LatentShape]
    configure: Callable[[CatalogueModel, Path | None], Any]
    denoiser: Callable[[Any, Execution], Denoiser]
    conditioning: Callable[[Any, int], Mapping[str, jax.ShapeDtypeStruct]]
    framing: Callable[[Any, Framing], Mapping[str, Float32[np.ndarray, "..."]]]
    load_text: Callable[[Path, DTypeLike], Callable[[Sequence[str]], TextConditioning]]
    text_folders: Callable[[Path], Sequence[str]]
    load_codec: Callable[[Path], Codec]


FAMILIES: Mapping[str, str] = {
    "stable-diffusion": "mdctl.models.stable_diffusion.family",
    "wan": "mdctl.models.wan.family",
}
"""Family -> the module whose `FAMILY` it is; imported when it is asked for."""


def find_family(model: CatalogueModel) -> Family:
    """Return the family of a model."""
    family = import_module(FAMILIES[model.family]).FAMILY
    assert isinstance(family, Family)
    return family


def decay_kernels(params: Params) -> Any:
    """Say which parameters decay: kernels do; biases, gains and tables do not."""
    return jax.tree.map_with_path(lambda path, _: "kernel" in jax.tree_util.keystr(path, simple=True), params)

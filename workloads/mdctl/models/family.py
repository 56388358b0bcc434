"""The one joint between model families and the rest: a value that training, sampling and storage take.

A family says what its networks were trained to undo and how they are sampled, how prompts become conditioning and
pixels become latents, and gives the denoiser as plain functions over a tree of parameters. Adding a family is adding a
folder and a line in `FAMILIES`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float32

from mdctl.data.framing import Framed, neutral
from mdctl.diffusion.denoise import Conditioning, Denoise, Params
from mdctl.diffusion.process import Process
from mdctl.diffusion.samplers.sampler import Sampler
from mdctl.models import weights
from mdctl.models.codec import Codec
from mdctl.models.control import ControlNet
from mdctl.models.weights import Table
from mdctl.parallel.execution import Execution
from mdctl.parallel.rules import ParameterLayout
from mdctl.spec.buckets import Size
from mdctl.spec.catalogue import CatalogueModel
from mdctl.spec.errors import WeightsError
from mdctl.spec.sampling import Sampling
from mdctl.spec.shapes import LatentShape

TextConditioning = Mapping[str, Float32[Array, "B ..."]]
"""What prompts become: arrays with the prompts as leading dim."""


TextEncode = Callable[[Sequence[str]], TextConditioning]


class PublishedPart(NamedTuple):
    """A folder of a published repository: the names in it, its parameters, and where in a network's tree they are."""

    table: Table
    abstract: Params
    at: tuple[str, ...] = ()

    def under(self, name: str) -> "PublishedPart":
        """Return the part in a tree that has its own tree under `name`."""
        return self._replace(at=(name, *self.at))


@dataclass(frozen=True, kw_only=True)
class TextEncoders:
    """Text encoders as functions of their parameters, to be trained along.

    `tokenize` gives arrays of one prompt's `shapes` each, in float32 as all conditioning is; `encode` is for a trace.
    `load` fills the parameters, laid out by a tree of shardings like `abstract`; `save` writes them into a folder as
    the folders of a published repository. `parts` are these folders.
    """

    encode: Callable[[Params, Mapping[str, Float32[Array, "B ..."]]], TextConditioning]
    tokenize: TextEncode
    shapes: Mapping[str, tuple[int, ...]]
    abstract: Params
    layout: ParameterLayout
    load: Callable[[Any], Params]
    save: Callable[[Params, Path], None]
    parts: Mapping[str, PublishedPart]

    def encoder(self, params: Params) -> TextEncode:
        """Return what encodes prompts with these parameters; compiled on first use for each number of them."""
        run = jax.jit(self.encode)
        return lambda prompts: run(params, self.tokenize(prompts))


@dataclass(frozen=True, kw_only=True)
class Denoiser:
    """A network as functions of its parameters, built for one execution, and what it is conditioned on.

    `abstract` is the tree of parameters as ShapeDtypeStructs, `layout` their logical axes; `init` draws them from a key
    and `load` fills them from a folder of published weights, laid out by a tree of shardings like `abstract`. In a
    published repository they are the folder `part`, by the names of `table`, and `config` is what its config.json says.
    Of the names at the top of the tree those in `frozen` are not trained.

    `conditioning` gives the arrays of a batch of so many samples: what `load_text` makes of prompts, and what `framing`
    tells of how a picture was scaled and cut; beside these a batch has `pictures` to follow, in [0, 1], each with the
    number of its pixels that stand for a latent each way. `load_text` takes the dtype in which encoders are held and
    compute; what it gives is float32 in any case, and depends on `text_sources`, folders and files of the repository.
    """

    denoise: Denoise
    abstract: Params
    layout: ParameterLayout
    init: Callable[[jax.Array], Params]
    load: Callable[[Path, Any], Params]
    part: str
    table: Table
    config: Mapping[str, Any] = field(default_factory=dict)
    decay_mask: Callable[[Params], Any]
    conditioning: Callable[[int], Mapping[str, jax.ShapeDtypeStruct]]
    framing: Framed
    load_text: Callable[[Path, DTypeLike], TextEncode]
    text_sources: Callable[[Path], Sequence[str]]
    frozen: frozenset[str] = frozenset()
    pictures: Mapping[str, int] = field(default_factory=dict)

    @property
    def told(self) -> frozenset[str]:
        """Return the names of what is told of a picture, and not of its caption."""
        return frozenset({*self.framing(neutral(Size(1, 1))), *self.pictures})

    def arrays(self, batch: int, latents: LatentShape) -> dict[str, jax.ShapeDtypeStruct]:
        """Return all that a batch of such latents is conditioned on."""
        sizes = {name: (latents.height * stride, latents.width * stride) for name, stride in self.pictures.items()}
        pictures = {name: jax.ShapeDtypeStruct((batch, *size, 3), jnp.float32) for name, size in sizes.items()}
        return {**self.conditioning(batch), **pictures}

    def check_takes(self, latents: LatentShape) -> None:
        """Raise WeightsError if the network takes latents of other channels than these."""
        channels = self.config.get("in_channels", latents.channels)
        if channels != latents.channels:
            raise WeightsError(
                f"{self.part} takes latents of {channels} channels (in_channels), but the model named has "
                f"{latents.channels}; change model.name or model.weights"
            )

    def encoded(self, params: Params, conditioning: Conditioning) -> Conditioning:
        """Return the conditioning with texts as `load_text` of the plain denoiser gives them, for a trace."""
        del params
        return conditioning

    @property
    def parts(self) -> Mapping[str, PublishedPart]:
        """Return the folders of a published repository whose parameters these are."""
        return {self.part: PublishedPart(self.table, self.abstract)}

    def begin(self, repository: Path | None, shardings: Any, key: jax.Array | None) -> Params:
        """Return parameters to begin with: drawn from a key, or without one loaded."""
        if key is not None:
            return jax.jit(self.init, out_shardings=shardings)(key)
        assert repository is not None
        return self.load(repository, shardings)

    def save(self, params: Params, folder: Path) -> None:
        """Write what was trained as published folders and files below `folder`; of `frozen` nothing is needed.

        Every process of a job must call this; the first one writes. Raises OutputError if it cannot.
        """
        weights.save(self.table, params, folder / self.part, config=self.config)


@runtime_checkable
class LoadCodec(Protocol):
    """Loads the codec of a model's repository; with `tiling` it codes large pictures in tiles."""

    def __call__(self, model: CatalogueModel, repository: Path, *, tiling: bool) -> Codec:
        """Return the codec."""
        ...


class Settled(NamedTuple):
    """A sampler, and by their names in the spec the settings in effect that a spec may leave to the repository."""

    sampler: Sampler
    settings: Mapping[str, str | float]


@dataclass(frozen=True, kw_only=True)
class Family:
    """What the rest of mdctl knows of a family of models. A repository is a folder in the Hugging Face layout.

    `process(model, repository)` and `configure(model, repository)` give what the denoiser was trained to undo and its
    configuration: the repository's, or without one the catalogue's. `text` opens the text encoders of a repository to
    be trained along, and `control` a ControlNet, in a folder or new, beside the denoiser of a model and its
    configuration; None where there are none.
    """

    process: Callable[[CatalogueModel, Path | None], Process]
    sampler: Callable[[CatalogueModel, Sampling, Path], Settled]
    configure: Callable[[CatalogueModel, Path | None], Any]
    denoiser: Callable[[Any, Execution], Denoiser]
    load_codec: LoadCodec
    text: Callable[[Path, Execution], TextEncoders] | None = None
    control: Callable[[CatalogueModel, Any, Execution, Path | None], ControlNet] | None = None


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


def fields_of(denoiser: Denoiser) -> dict[str, Any]:
    """Return the fields of a denoiser, to make one that has more."""
    return {field.name: getattr(denoiser, field.name) for field in fields(Denoiser)}

"""A denoiser that follows pictures, each through a ControlNet: they are conditioning, told as framing is, and

{"denoiser": the denoiser's, "controls": for each picture, its ControlNet's}

are the parameters. One ControlNet may be trained so, while the denoiser stays as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float32

from mdctl.diffusion.denoise import Conditioning, Params
from mdctl.models.control import ControlNet
from mdctl.models.family import Denoiser, PublishedPart, decay_kernels, fields_of
from mdctl.parallel.rules import under

DENOISER, CONTROLS = "denoiser", "controls"
PUBLISHED = "controlnet"
"""The folder that a trained one is published as."""


class Followed(NamedTuple):
    """A ControlNet, the folder of its weights (None: it begins as a copy of the denoiser), and how much it counts."""

    network: ControlNet
    folder: Path | None
    scale: float = 1.0


@dataclass(frozen=True, kw_only=True)
class ControlledDenoiser(Denoiser):
    """The denoiser, and what it follows by the names of the pictures; `trains` where that is what a run trains."""

    inner: Denoiser
    followed: Mapping[str, Followed]
    trains: bool

    def begin(self, repository: Path | None, shardings: Any, key: jax.Array | None) -> Params:
        """Return parameters to begin with: the denoiser's as published, or drawn, and those of its ControlNets."""
        laid = {DENOISER: None, CONTROLS: None} if shardings is None else shardings
        return self.around(self.inner.begin(repository, laid[DENOISER], key), laid[CONTROLS], key)

    def around(self, denoiser: Params, shardings: Any, key: jax.Array | None = None) -> Params:
        """Return parameters of the denoiser together with those that the ControlNets begin with."""
        laid = dict.fromkeys(self.followed) if shardings is None else shardings

        def begun(name: str, network: ControlNet, folder: Path | None) -> Params:
            if folder is not None:
                return network.load(folder, laid[name])
            start = jax.jit(network.copy, out_shardings=laid[name])
            return start(denoiser, jax.random.key(0) if key is None else key)

        return {
            DENOISER: denoiser,
            CONTROLS: {name: begun(name, each.network, each.folder) for name, each in self.followed.items()},
        }

    @property
    def parts(self) -> Mapping[str, PublishedPart]:
        """Return the denoiser's folders."""
        return {name: part.under(DENOISER) for name, part in self.inner.parts.items()}

    def save(self, params: Params, folder: Path) -> None:
        """Write the ControlNet, which is what was trained."""
        (name,) = self.followed
        self.followed[name].network.save(params[CONTROLS][name], folder / PUBLISHED)

    def encoded(self, params: Params, conditioning: Conditioning) -> Conditioning:
        """Return the conditioning with texts as the plain denoiser takes them."""
        return self.inner.encoded(params[DENOISER], conditioning)


def picture_name(number: int) -> str:
    """Return what the picture of `sampling.control` with this number is called in the conditioning."""
    return f"control_{number}"


def with_controls(
    inner: Denoiser, followed: Sequence[Followed], *, first: int = 0, trains: bool = False
) -> ControlledDenoiser:
    """Return a denoiser that follows so many more pictures, the first of them that of number `first`.

    What its ControlNets say adds up, with that of those that `inner` has already.
    """
    named = {picture_name(number): each for number, each in enumerate(followed, start=first)}

    def denoise(
        params: Params, x: Float32[Array, "B T H W C"], time: Float32[Array, " B"], conditioning: Conditioning
    ) -> Float32[Array, "B T H W C"]:
        others = {name: part for name, part in conditioning.items() if name not in named}
        told = inner.encoded(params[DENOISER], others)
        for name, (network, _, scale) in named.items():
            told = network.tell(params[CONTROLS][name], x, time, told, conditioning[name], scale)
        return inner.denoise(params[DENOISER], x, time, told)

    networks = {name: each.network for name, each in named.items()}
    laid = (rule for name, network in networks.items() for rule in under(f"{CONTROLS}.{name}", network.layout))
    outer = replace(
        inner,
        denoise=denoise,
        abstract={DENOISER: inner.abstract, CONTROLS: {name: each.abstract for name, each in networks.items()}},
        layout=(*under(DENOISER, inner.layout), *laid),
        decay_mask=decay_kernels,
        frozen=frozenset({DENOISER}),
        pictures={**inner.pictures, **{name: network.stride for name, network in networks.items()}},
    )
    return ControlledDenoiser(**fields_of(outer), inner=inner, followed=named, trains=trains)

"""A ControlNet as a value that knows no model: pictures that samples follow come to a denoiser through it.

    told = control.tell(params, x, time, conditioning, picture, scale)
    prediction = denoise(denoiser_params, x, time, told)

What it says is added to the conditioning, to what others have said before; the denoiser of its family finds it there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax
from jaxtyping import Array, Float32

from mdctl.diffusion.denoise import Conditioning, Params
from mdctl.models import weights
from mdctl.models.weights import Table
from mdctl.parallel.rules import ParameterLayout


@runtime_checkable
class Tell(Protocol):
    """Say what to add inside a denoiser."""

    def __call__(
        self,
        params: Params,
        x_BTHWC: Float32[Array, "B T H W C"],
        time_B: Float32[Array, " B"],
        conditioning: Conditioning,
        picture: Float32[Array, "B X Y 3"],
        scale: float,
        /,
    ) -> Conditioning:
        """Return the conditioning with what is said of a picture, times `scale`, in it."""
        ...


@dataclass(frozen=True, kw_only=True)
class ControlNet:
    """A ControlNet as functions of its parameters, built for one execution beside one denoiser.

    Pictures are in [0, 1], of `stride` times the latents' height and width. `copy` gives the parameters to train from:
    those of a denoiser wherever both have them, what is its own drawn from a key. `config` is its config.json.
    """

    tell: Tell
    abstract: Params
    layout: ParameterLayout
    copy: Callable[[Params, jax.Array], Params]
    table: Table
    config: Mapping[str, Any]
    stride: int

    def load(self, folder: Path, shardings: Any) -> Params:
        """Return the parameters in a folder, laid out by a tree of shardings like `abstract`."""
        return weights.load(self.table, folder, self.abstract, shardings)

    def save(self, params: Params, folder: Path) -> None:
        """Write parameters as the published class reads them; replaces what the folder held."""
        weights.save(self.table, params, folder, config=self.config)

"""The pictures that samples follow, and whose ControlNets read them."""

from collections.abc import Collection, Sequence

import numpy as np
from jaxtyping import Float32

from mdctl.data.condition import as_numbers, edges_of
from mdctl.inference.picture import read_pixels
from mdctl.networks.controlled import picture_name
from mdctl.spec.errors import SpecError
from mdctl.spec.job import JobSpec
from mdctl.spec.sampling import Control
from mdctl.spec.shapes import PixelShape
from mdctl.spec.training import Training


def read_controls(
    controls: Sequence[Control], names: Collection[str], size: PixelShape
) -> dict[str, Float32[np.ndarray, "H W 3"]]:
    """Return the pictures that a network follows, by the `names` that it has for them, in [0, 1], at a size.

    Raises SpecError: one cannot be read, or is no picture.
    """
    return {
        picture_name(number): _read(f"sampling.control.{number}.image", control, size)
        for number, control in enumerate(controls)
        if picture_name(number) in names
    }


def _read(field: str, control: Control, size: PixelShape) -> Float32[np.ndarray, "H W 3"]:
    (shown,) = read_pixels(field, control.image, size)
    return as_numbers(edges_of(shown, control.low, control.high) if control.canny else shown)


def check_controls(spec: JobSpec, trained: Training | None) -> None:
    """Refuse a spec that does not fit what was trained in its checkpoint.

    Raises SpecError: a ControlNet has nothing to follow, or there is none.
    """
    controls, run = spec.sampling.control, spec.model.checkpoint
    if trained is not None and trained.control_net is not None:
        if not controls:
            raise SpecError(
                f"model.checkpoint {run!r} is of a ControlNet, which needs a picture to follow; "
                "give it as sampling.control=[{image: PATH}], and canny: true if its edges are to be found"
            )
        if controls[0].weights is not None:
            raise SpecError(
                f"sampling.control.0.weights is {controls[0].weights!r}, but model.checkpoint {run!r} is of a "
                "ControlNet, which comes first; leave the weights out, or put an entry without weights before this one"
            )
    elif controls and controls[0].weights is None:
        raise SpecError(
            f"sampling.control.0.weights is unset, and model.checkpoint {run!r} is of no ControlNet; "
            "name one, hf://ORG/NAME, gs:// or a folder"
        )

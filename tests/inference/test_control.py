"""The pictures that samples follow, as they are read, and what does not fit a checkpoint."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mdctl.data.canny import canny
from mdctl.data.video import Decoding, decode, encode_png
from mdctl.inference.control import check_controls, read_controls
from mdctl.spec.errors import SpecError
from mdctl.spec.job import JobSpec
from mdctl.spec.sampling import Control
from mdctl.spec.shapes import PixelShape
from mdctl.spec.training import Training

SIZE = PixelShape(1, 32, 32)
OF_A_CONTROL_NET = Training.model_validate({"controlNet": {}})


def controls(folder: Path, *more: dict[str, Any]) -> list[Control]:
    path = folder / "picture.png"
    path.write_bytes(encode_png(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)))
    return [Control.model_validate({"image": str(path), **each}) for each in more]


def test_pictures_are_read_at_the_size_of_what_is_made_and_their_edges_found_there(tmp_path: Path) -> None:
    given = controls(tmp_path, {}, {"canny": True, "low": 50}, {})
    (pixels,) = decode("picture.png", (tmp_path / "picture.png").read_bytes(), Decoding(SIZE))
    read = read_controls(given, {"control_0", "control_1"}, SIZE)
    assert read.keys() == {"control_0", "control_1"}
    np.testing.assert_array_equal(read["control_0"], pixels.astype(np.float32) / 255)
    np.testing.assert_array_equal(read["control_1"][..., 2], canny(pixels, 50, 200).astype(np.float32) / 255)


def test_what_is_no_picture_is_refused_by_its_number(tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("no picture")
    for name, says in (("none.png", "cannot be read"), ("notes.png", "damaged, or no image")):
        given = [Control(image=str(tmp_path / name))]
        with pytest.raises(SpecError, match=rf"sampling.control.0.image '.*{name}'.*{says}"):
            read_controls(given, {"control_0"}, SIZE)


def spec(*given: dict[str, Any]) -> JobSpec:
    return JobSpec.model_validate(
        {
            "task": "generate",
            "slice": "cpu-1x1",
            "model": {"name": "sd-tiny", "weights": "model", "checkpoint": "run"},
            "video": {"height": 32, "width": 32, "frames": 1},
            "sampling": {"prompts": ["a"], "control": given},
        }
    )


@pytest.mark.parametrize(
    ("given", "trained", "says"),
    [
        (
            (),
            OF_A_CONTROL_NET,
            r"model.checkpoint 'run' is of a ControlNet, which needs a picture to follow",
        ),
        (({"image": "a.png", "weights": "b"},), OF_A_CONTROL_NET, "sampling.control.0.weights is 'b', but model.check"),
        (({"image": "a.png"},), Training(), "sampling.control.0.weights is unset, and model.checkpoint 'run' is of no"),
    ],
)
def test_what_does_not_fit_the_checkpoint_is_refused(given: Any, trained: Training, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        check_controls(spec(*given), trained)


@pytest.mark.parametrize(
    ("given", "trained"),
    [
        (({"image": "a.png"}, {"image": "b.png", "weights": "b"}), OF_A_CONTROL_NET),
        (({"image": "a.png", "weights": "b"},), Training()),
        (({"image": "a.png", "weights": "b"},), None),
        ((), None),
    ],
)
def test_what_fits_is_not(given: Any, trained: Training | None) -> None:
    check_controls(spec(*given), trained)

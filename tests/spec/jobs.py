"""Jobs for tests: the smallest valid one, and strategies that draw valid specs and spoilt ones."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from mdctl.spec.errors import MdctlError
from mdctl.spec.fields import field_paths, find_field
from mdctl.spec.job import DiffusionJob
from mdctl.spec.merging import merge
from mdctl.spec.reading import parse_job


def mapping(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "job"}, "spec": {"task": "train", **spec}}


def job(**spec: Any) -> DiffusionJob:
    return parse_job(mapping(**spec), where="job")


def attempt(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns, or the error of ours that it raises; any other error is raised."""
    try:
        return function(*arguments)
    except MdctlError as error:
        return error


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        [-1, 0, 1, 2, 8, 17, 64, "full", "none", "flash", "v5p-64", "cpu-2x4", "gs://a/b", "adamw", "1e-3"]
    )
)
JUNK = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner))
PROMPTS = st.text(st.characters(codec="utf-8", exclude_characters="\0")).filter(str.strip)


@st.composite
def spoilt(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a job with some of its fields set to anything."""
    data: dict[str, Any] = mapping(slice=draw(st.sampled_from(["v5p-64", "cpu-8", "h100-8"])))
    for path in draw(st.lists(st.sampled_from(field_paths()), max_size=4)):
        data = merge(data, find_field(path).holding(draw(JUNK)))
    return data


@st.composite
def valid(draw: st.DrawFn) -> DiffusionJob:
    """Draw a valid job."""
    devices = draw(st.sampled_from([1, 2, 4, 8, 16]))
    ema = draw(st.none() | st.fixed_dictionaries({"decay": st.floats(0, 0.999)}))
    tensor = draw(st.sampled_from([n for n in (1, 2, 4) if devices % n == 0]))
    spec = {
        "task": draw(st.sampled_from(["train", "generate"])),
        "slice": f"cpu-{devices}",
        "model": {
            "name": "wan2.1-t2v-tiny",
            "weights": draw(st.sampled_from(["demo/model", "/models/x", "gs://bucket/model", "hf://org/name"])),
        },
        "mesh": {"ici": {"tensor": tensor}},
        "batch": {"globalSize": draw(st.integers(1, 64))},
        "video": {"height": draw(st.integers(1, 8)) * 16, "width": 64, "frames": 4 * draw(st.integers(0, 5)) + 1},
        "training": {
            "steps": draw(st.integers(1, 2**31 - 1)),
            "optimizer": {"learningRate": draw(st.floats(1e-12, 1))},
            "ema": ema,
        },
        "sampling": {"prompts": draw(st.lists(PROMPTS, min_size=1, max_size=2))},
        "environment": draw(
            st.dictionaries(st.from_regex(r"[A-Z_]{1,8}", fullmatch=True), st.text("ab =\n:#", max_size=9))
        ),
    }
    labels = draw(st.dictionaries(st.sampled_from(["team", "a.example/b"]), st.sampled_from(["", "x", "no", "1"])))
    return parse_job({"metadata": {"name": "job", "labels": labels}, "spec": spec}, where="drawn")

"""What samples of a checkpoint take of the run that it is of."""

from pathlib import Path
from typing import Any

import jax
import pytest
import yaml
from etils import epath

from mdctl.inference.generate import generate
from mdctl.inference.trained import as_trained
from mdctl.parallel.mesh import make_mesh
from mdctl.spec.errors import SpecError
from mdctl.spec.job import JobSpec

LOCAL = {"weights": "base", "denoiser": "unet.safetensors"}
PICTURE = {"slice": "cpu-1x1", "video": {"height": 64, "width": 64, "frames": 1}}
FROM_HUB = {"weights": "hf://org/base", "revision": "abc"}


def spec(**model: Any) -> JobSpec:
    return JobSpec.model_validate(
        {**PICTURE, "task": "generate", "model": {"name": "sd1.5", **model}, "sampling": {"prompts": ["a"]}}
    )


def write_job(run: Path, model: dict[str, Any]) -> None:
    """Write the job of a training run."""
    job = {
        "apiVersion": "mdctl.dev/v1alpha1",
        "kind": "DiffusionJob",
        "metadata": {"name": "run"},
        "spec": {**PICTURE, "task": "train", "model": model, "data": {"type": "synthetic"}},
    }
    (run / "job.yaml").write_text(yaml.safe_dump(job))


def as_sampled(run: Path, theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """Return the model that a spec takes samples of which follows a run of another, without what is unset."""
    write_job(run, {"name": "sd1.5", **theirs})
    wanted = spec(checkpoint=str(run), **ours)
    return as_trained(wanted).model.model_dump(exclude_unset=True, exclude_none=True, exclude={"name", "checkpoint"})


@pytest.mark.parametrize(
    ("theirs", "ours", "taken"),
    [
        (LOCAL, {}, LOCAL),
        (LOCAL, {"weights": "base"}, LOCAL),
        (LOCAL, {"denoiser": "other.safetensors"}, {**LOCAL, "denoiser": "other.safetensors"}),
        (FROM_HUB, {}, FROM_HUB),
        (FROM_HUB, {"revision": "def"}, {**FROM_HUB, "revision": "def"}),
        ({}, {}, {}),
    ],
)
def test_what_a_spec_leaves_open_is_as_the_run_had_it(
    tmp_path: Path, theirs: dict[str, Any], ours: dict[str, Any], taken: dict[str, Any]
) -> None:
    assert as_sampled(tmp_path, theirs, ours) == taken


@pytest.mark.parametrize("ours", [{"weights": "another"}, {"name": "sd2.1"}])
def test_another_repository_or_model_is_taken_as_it_is(tmp_path: Path, ours: dict[str, Any]) -> None:
    assert as_sampled(tmp_path, LOCAL, ours) == {key: value for key, value in ours.items() if key != "name"}


def test_a_spec_without_a_checkpoint_stays_as_it_is() -> None:
    assert as_trained(spec(weights="base")) == spec(weights="base")


def test_the_repository_of_another_models_run_is_not_taken(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    write_job(run, {"name": "sd-tiny", "weights": "base"})
    wanted = spec(name="sdxl-tiny", checkpoint=str(run))
    with pytest.raises(SpecError, match=r"model.weights is unset, and model.checkpoint '.*run' is no run of sdxl-tiny"):
        generate(wanted, make_mesh(wanted.layout, jax.devices()[:1]), epath.Path(tmp_path), lambda done, total: None)


def test_a_directory_without_a_job_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"model.checkpoint: .*job.yaml cannot be read"):
        as_trained(spec(checkpoint=str(tmp_path)))

"""What a job on this computer reads must be here before it starts."""

from pathlib import Path

from mdctl.spec.errors import DataError
from mdctl.spec.job import DiffusionJob, JobSpec
from mdctl.spec.outputs import LOCAL_OUTPUTS
from mdctl.spec.recipes import recipe_names

PREPARED = {
    "demo": "`make demo` makes it, or `python -m mdctl.demo prepare`",
    "picture": "`make picture` makes it, or `python -m mdctl.demo picture prepare`",
}
"""Folders that the small sizes of recipes read, and what fills them."""


def check_inputs(job: DiffusionJob) -> None:
    """Refuse a job whose local folders and files are not there.

    Raises:
        DataError: names the first that is missing, and what makes it.
    """
    spec = job.spec
    training = spec.task == "train"
    inputs = {
        "model.weights": spec.model.weights,
        "model.checkpoint": spec.model.checkpoint,
        "model.denoiser": spec.model.denoiser,
        "data.path": spec.data.path if training and spec.data.type == "folder" else None,
        "sampling.promptsFile": None if training else spec.sampling.prompts_file,
        "sampling.image": None if training else spec.sampling.image,
        "sampling.mask": None if training else spec.sampling.mask,
    }
    inputs |= _of_control_nets(spec)
    inputs |= {f"model.lora.{number}.weights": adapter.weights for number, adapter in enumerate(spec.model.lora)}
    if training and spec.training.prior is not None:
        inputs["training.prior.path"] = spec.training.prior.path
    for field, place in inputs.items():
        if place is not None and "://" not in place and not _is_here(field, place):
            raise DataError(f"{field} is {place!r}, which is not here ({Path.cwd()}); {_way_out(field, place)}")
    if training and spec.data.type == "folder" and spec.data.path is None:
        raise DataError("data.path is unset; name a folder of clips, data.path=FOLDER, or data.type=synthetic")


def _of_control_nets(spec: JobSpec) -> dict[str, str | None]:
    """Return where ControlNets and the pictures that samples follow are."""
    found = {}
    if spec.task == "train" and spec.training.control_net is not None:
        found["training.controlNet.weights"] = spec.training.control_net.weights
    for number, control in enumerate(spec.sampling.control):
        found[f"sampling.control.{number}.weights"] = control.weights
        found[f"sampling.control.{number}.image"] = control.image
    return found


def _is_here(field: str, place: str) -> bool:
    try:
        return Path(place).exists()
    except OSError as error:
        raise DataError(f"{field} is {place!r}, which cannot be looked at: {error.strerror}; name another") from None


def _way_out(field: str, place: str) -> str:
    if (maker := _maker(place)) is not None:
        return f"{maker}, in the folder you run mdctl from"
    if field == "model.checkpoint":
        return "train one first (`mdctl submit train-wan --local`), or name its output directory with --checkpoint"
    if field == "model.weights":
        return "name another folder, or hf://ORG/NAME, with model.weights=..."
    if field == "training.prior.path":
        return "make it (pictures that it lacks are put there), or leave it unset"
    if field.startswith(("model.lora.", "sampling.control.")):
        return f"name another in {'.'.join(field.split('.')[:2])}"
    return f"name another with {field}=PATH"


def _maker(place: str) -> str | None:
    """Return what makes a folder that small sizes of recipes read; None if it is not one of these."""
    first, second = (*Path(place).parts, "", "")[:2]
    if first == LOCAL_OUTPUTS and second in recipe_names():
        return f"`mdctl submit {second} --local` makes it"
    return PREPARED.get(first)

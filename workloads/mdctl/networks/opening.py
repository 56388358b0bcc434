"""The network of a job: its family's denoiser, wrapped in what is trained along or in its place.

A checkpoint holds what was trained, and no more; the job beside it says what that was put around. So the network that
reads it is opened by the very same function.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mdctl.diffusion.denoise import Params
from mdctl.models import weights
from mdctl.models.control import ControlNet
from mdctl.models.family import Denoiser, find_family
from mdctl.networks.adapted import with_adapter
from mdctl.networks.controlled import Followed, with_controls
from mdctl.networks.texted import with_text
from mdctl.parallel.execution import Execution
from mdctl.spec.catalogue import CatalogueModel
from mdctl.spec.sampling import Control
from mdctl.spec.training import Training
from mdctl.storage.repository import local_repository


def open_network(
    model: CatalogueModel,
    repository: Path | None,
    execution: Execution,
    training: Training | None,
    weights_file: Path | None = None,
    controls: Sequence[Control] = (),
) -> Denoiser:
    """Return the network of a model as `training` has it; None is the denoiser alone.

    Its configuration is the repository's, or without one the catalogue's; its weights are in `weights_file`, if given.
    Its samples follow `controls`, the first of them through the ControlNet that `training` trains, if it does.
    """
    family = find_family(model)
    cfg = family.configure(model, repository)
    denoiser = family.denoiser(cfg, execution)
    if weights_file is not None:
        denoiser = from_file(denoiser, weights_file)
    if training is not None:
        if training.text_encoder is not None:
            assert repository is not None
            assert family.text is not None, "the spec was checked"
            denoiser = with_text(denoiser, family.text(repository, execution))
        elif training.lora is not None:
            denoiser = with_adapter(denoiser, training.lora, training.seed)
    own = None if training is None else training.control_net
    if own is None and not controls:
        return denoiser
    assert family.control is not None, "the spec was checked"
    open_control = partial(family.control, model, cfg, execution)
    if own is not None:
        scale = controls[0].scale if controls else 1.0
        ours = followed(open_control, "training.controlNet.weights", own.weights, scale)
        denoiser = with_controls(denoiser, [ours], trains=True)
    trained = 0 if own is None else 1
    others = [
        followed(open_control, f"sampling.control.{number}.weights", control.weights, control.scale)
        for number, control in enumerate(controls[trained:], start=trained)
    ]
    return with_controls(denoiser, others, first=trained) if others else denoiser


def followed(
    open_control: Callable[[Path | None], ControlNet], field: str, location: str | None, scale: float
) -> Followed:
    """Return a ControlNet, which is fetched if it is not on this machine; None is one to be trained from the start."""
    folder = None if location is None else local_repository(location, field=field)
    return Followed(open_control(folder), folder, scale)


def from_file(denoiser: Denoiser, file: Path) -> Denoiser:
    """Return a denoiser whose published weights are in a file, and not in its repository."""

    def load(repository: Path, shardings: Any) -> Params:
        del repository
        return weights.load(denoiser.table, file, denoiser.abstract, shardings)

    return replace(denoiser, load=load)

"""The network of a job: its family's denoiser, wrapped in what is trained along or in its place.

A checkpoint holds what was trained, and no more; the job beside it says what that was put around. So the network that
reads it is opened by the very same function.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from mdctl.diffusion.denoise import Params
from mdctl.models import weights
from mdctl.models.family import Denoiser, find_family
from mdctl.networks.adapted import with_adapter
from mdctl.networks.texted import with_text
from mdctl.parallel.execution import Execution
from mdctl.spec.catalogue import CatalogueModel
from mdctl.spec.training import Training


def open_network(
    model: CatalogueModel,
    repository: Path | None,
    execution: Execution,
    training: Training | None,
    weights_file: Path | None = None,
) -> Denoiser:
    """Return the network of a model as `training` has it; None is the denoiser alone.

    Its configuration is the repository's, or without one the catalogue's; its weights are in `weights_file`, if given.
    """
    family = find_family(model)
    denoiser = family.denoiser(family.configure(model, repository), execution)
    if weights_file is not None:
        denoiser = from_file(denoiser, weights_file)
    if training is None:
        return denoiser
    if training.text_encoder is not None:
        assert repository is not None
        assert family.text is not None, "the spec was checked"
        return with_text(denoiser, family.text(repository, execution))
    if training.lora is not None:
        return with_adapter(denoiser, training.lora)
    return denoiser


def from_file(denoiser: Denoiser, file: Path) -> Denoiser:
    """Return a denoiser whose published weights are in a file, and not in its repository."""

    def load(repository: Path, shardings: Any) -> Params:
        del repository
        return weights.load(denoiser.table, file, denoiser.abstract, shardings)

    return replace(denoiser, load=load)

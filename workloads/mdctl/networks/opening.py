"""The network of a job: its family's denoiser, wrapped in what is trained along or in its place.

A checkpoint holds what was trained, and no more; the job beside it says what that was put around. So the network that
reads it is opened by the very same function.
"""

from pathlib import Path

from mdctl.models.family import Denoiser, find_family
from mdctl.networks.adapted import with_adapter
from mdctl.networks.texted import with_text
from mdctl.parallel.execution import Execution
from mdctl.spec.catalogue import CatalogueModel
from mdctl.spec.training import Training


def open_network(
    model: CatalogueModel, repository: Path | None, execution: Execution, training: Training | None
) -> Denoiser:
    """Return the network of a model as `training` has it; None is the denoiser alone.

    Its configuration is the repository's, or without one the catalogue's.
    """
    family = find_family(model)
    denoiser = family.denoiser(family.configure(model, repository), execution)
    if training is None:
        return denoiser
    if training.text_encoder is not None:
        assert repository is not None
        assert family.text is not None, "the spec was checked"
        return with_text(denoiser, family.text(repository, execution))
    if training.lora is not None:
        return with_adapter(denoiser, training.lora)
    return denoiser

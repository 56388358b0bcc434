"""The training run whose checkpoint is sampled: its job, its newest step, and what its network was trained around."""

import logging

import numpy as np
from jax.experimental.multihost_utils import broadcast_one_to_all

from mdctl.spec.errors import SpecError
from mdctl.spec.job import JobSpec
from mdctl.spec.model import join
from mdctl.spec.outputs import CHECKPOINTS, JOB
from mdctl.spec.reading import parse_job, parse_mapping
from mdctl.storage.checkpoints import newest_whole
from mdctl.storage.output import as_path, file_errors

logger = logging.getLogger(__name__)


def as_trained(spec: JobSpec) -> JobSpec:
    """Return a spec whose model is the run's where it leaves open which: its repository, and its denoiser's file.

    A checkpoint holds no more than was trained. A LoRA, a ControlNet or text encoders go with what they were trained
    beside, so that is taken unless the spec names another repository, file or model.

    Raises:
        SpecError: there is no job in the directory that `model.checkpoint` names.
    """
    ours = spec.model
    if ours.checkpoint is None:
        return spec
    theirs = trained_job(ours.checkpoint).model
    if theirs.name != ours.name or ours.weights not in (None, theirs.weights):
        return spec
    beside = {
        "weights": theirs.weights,
        "revision": ours.revision or theirs.revision,
        "denoiser": ours.denoiser or theirs.denoiser,
    }
    return spec.model_copy(update={"model": ours.model_copy(update=beside)})


def trained_job(directory: str) -> JobSpec:
    """Return the job whose output directory this is.

    Raises:
        SpecError: there is none.
    """
    path = as_path(join(directory, JOB))
    try:
        text = path.read_text()
    except file_errors(directory) as error:
        raise SpecError(
            f"model.checkpoint: {path} cannot be read ({error}); name a training job's outputDir"
        ) from error
    return parse_job(parse_mapping(text, where=str(path)), where=str(path)).spec


def trained_step(spec: JobSpec) -> int | None:
    """Return the step of the newest checkpoint of the run that the spec names, if it names one; the same on all hosts.

    Raises:
        SpecError: the run has no whole checkpoint.
    """
    if spec.model.checkpoint is None:
        return None
    directory = join(spec.model.checkpoint, CHECKPOINTS)
    step, damages = newest_whole(directory)
    for damage in damages:
        logger.warning("damaged checkpoint passed over: %s", damage)
    agreed = int(broadcast_one_to_all(np.int32(-1 if step is None else step)))
    if agreed < 0:
        raise SpecError(f"model.checkpoint: {directory} holds no whole checkpoint; name a training job's outputDir")
    return agreed

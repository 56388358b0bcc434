"""The pictures of a subject's class: those that are there, and those that are made where they are too few.

They are made once, before the first step, by the model that training starts from; a job that was ended amidst goes on
with what is lacking. An attempt that goes on from saved progress makes none: what it trains on is on record.
"""

import logging

from etils import epath

from mdctl.data.captions import CSV, JSON_LINES, listed_clips
from mdctl.inference.generate import generate
from mdctl.runtime.log import shared
from mdctl.runtime.preparation import Preparation
from mdctl.runtime.task import Surroundings
from mdctl.spec.errors import DataError
from mdctl.spec.job import JobSpec
from mdctl.spec.outputs import SAMPLES
from mdctl.spec.training import Prior
from mdctl.storage.output import as_path

logger = logging.getLogger(__name__)


def make_prior(around: Surroundings, preparation: Preparation) -> None:
    """Make the pictures that a run's prior lacks, on all hosts together, if it has a prior and no step is saved.

    Raises:
        DataError: the folder's pictures cannot be looked at, or it has a list, in which those made would be missing.
        UserError: the model cannot be sampled.
    """
    prior = around.spec.training.prior
    if prior is None or around.progress:
        return
    folder = as_path(around.spec.prior_dir)
    lacking = preparation.first_says("prior", num_lacking(folder, prior) if around.peers.rank == 0 else None)
    if not lacking:
        return
    logger.info(
        "%s is to hold %d pictures of the class: %r is sampled for those that it lacks",
        folder,
        prior.count,
        prior.prompt,
        extra=shared(),
    )
    around.watchdog.expect("the first picture of the class", around.patience)

    def done(count: int, total: int) -> None:
        preparation.tell("making picture of the class", count, total)

    generate(sampled(around.spec, lacking), around.mesh, folder, done)


def num_lacking(folder: epath.Path, prior: Prior) -> int:
    """Return how many pictures are to be made, those of them that are made already included; 0 if enough are there."""
    there = listed_clips(folder, caption=prior.prompt) if folder.exists() else []
    if len(there) >= prior.count:
        return 0
    for name in (JSON_LINES, CSV):
        if (folder / name).exists():
            raise DataError(
                f"training.prior.path {folder}: {name} lists {len(there)} pictures, and training.prior.count is "
                f"{prior.count}. Lower the count, list more, or take the list away, so that others can be made."
            )
    return prior.count - sum(not clip.name.startswith(f"{SAMPLES}/") for clip in there)


def sampled(spec: JobSpec, count: int) -> JobSpec:
    """Return a training job's spec as one that samples pictures of the class from what its training starts from."""
    prior = spec.training.prior
    assert prior is not None
    which = {"prompts": (prior.prompt,), "prompts_file": None, "samples_per_prompt": count}
    plain = {"image": None, "mask": None, "control": ()}
    return spec.model_copy(
        update={
            "model": spec.model.model_copy(update={"checkpoint": None}),
            "sampling": spec.sampling.model_copy(update={**which, **plain}),
        }
    )

"""The task `generate`: videos from prompts, each of them kept once it is written."""

import logging

from etils import epath

from mdctl.inference.generate import generate
from mdctl.runtime.log import shared
from mdctl.runtime.progress import progress_bar
from mdctl.runtime.task import Surroundings, Task
from mdctl.spec.job import JobSpec
from mdctl.spec.outputs import SAMPLES

logger = logging.getLogger(__name__)


def count_videos(spec: JobSpec, output: epath.Path) -> int:
    """Return the number of videos that are there."""
    samples = output / SAMPLES
    return len(list(samples.glob("*.json"))) if samples.exists() else 0


def run(around: Surroundings) -> None:
    """Make the videos that are lacking; a stop signal leaves at once, and loses the one that is being made."""
    around.watchdog.expect("the first video", around.patience)
    with progress_bar(around.console, "generate") as advance:

        def done(count: int, total: int) -> None:
            around.watchdog.expect(f"video {count + 1} of {total}", around.patience)
            advance(count, total)

        generate(around.spec, around.mesh, around.output, done)
    around.watchdog.rest()
    logger.info("videos are in %s", around.output / SAMPLES, extra=shared())


GENERATE = Task(count_videos, run)

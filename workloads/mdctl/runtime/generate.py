"""The task `generate`: samples of prompts, each of them kept once it is written."""

import logging

from etils import epath

from mdctl.inference.generate import generate
from mdctl.runtime.log import shared
from mdctl.runtime.progress import progress_bar
from mdctl.runtime.task import Surroundings, Task
from mdctl.spec.job import JobSpec
from mdctl.spec.outputs import SAMPLES
from mdctl.spec.shard import Shard

logger = logging.getLogger(__name__)


def count_samples(spec: JobSpec, output: epath.Path, shard: Shard) -> int:
    """Return the number of samples of a shard that are there."""
    samples = output / SAMPLES
    names = [path.name for path in samples.glob("*.json")] if samples.exists() else []
    numbers = [name.partition("-")[0] for name in names]
    return sum(shard.has(int(number)) for number in numbers if number.isdigit())


def run(around: Surroundings) -> None:
    """Make the samples that are lacking; a stop signal leaves at once, and loses the one that is being made."""
    around.watchdog.expect("the first sample", around.patience)
    with progress_bar(around.console, "generate") as advance:

        def done(count: int, total: int) -> None:
            around.watchdog.expect(f"sample {count + 1} of {total}", around.patience)
            advance(count, total)

        generate(around.spec, around.mesh, around.output, done, around.shard)
    around.watchdog.rest()
    logger.info("samples are in %s", around.output / SAMPLES, extra=shared())


GENERATE = Task(count_samples, run)

"""What is recorded of each step: a line of `metrics.jsonl`, a line of the log now and then, the progress bar.

Rank 0 writes. An attempt that goes on from step k keeps the lines up to k and drops those after it, so that over all
restarts every step stands there once.
"""

import logging
import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
from etils import epath

from mdctl.runtime.log import shared
from mdctl.runtime.progress import Advance
from mdctl.storage.lines import Lines, open_lines
from mdctl.training.loop import Finished

logger = logging.getLogger(__name__)

GIB = 2**30


class Nowhere:
    """Lines that are kept by another host."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Drop a record."""

    def flush(self) -> None:
        """Do nothing."""


def open_records(path: epath.Path, rank: int, start: int) -> Lines:
    """Open a file of records by step to go on after step `start`, on rank 0; others write nowhere."""
    return open_lines(path, keep=lambda record: record["step"] <= start) if rank == 0 else Nowhere()


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Takes each finished step."""

    lines: Lines
    global_batch: int
    log_every: int
    last: int
    advance: Advance

    def __call__(self, finished: Finished) -> None:
        """Record a step."""
        record = {
            "step": finished.step,
            "loss": finished.loss,
            "grad_norm": finished.grad_norm,
            "learning_rate": finished.learning_rate,
            "seconds": finished.seconds,
            "videos_per_second": self.global_batch / finished.seconds if finished.seconds else None,
            "memory_gib": memory_in_use() / GIB,
        }
        self.lines.write(record)
        self.advance(finished.step, self.last)
        if finished.step % self.log_every == 0 or finished.step == self.last:
            logger.info("trained", extra=shared(**record))


def memory_in_use() -> int:
    """Return the most bytes in use at once so far: on the fullest device of this host, or in this process on a CPU."""
    statistics = [device.memory_stats() for device in jax.local_devices()]
    peaks = [each["peak_bytes_in_use"] for each in statistics if each]
    kilobyte = 1 if sys.platform == "darwin" else 1024
    return max(peaks, default=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobyte)

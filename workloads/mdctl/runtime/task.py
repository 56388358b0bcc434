"""What a job does once its hosts have found each other."""

from collections.abc import Callable
from dataclasses import dataclass

from etils import epath
from jax.sharding import Mesh
from rich.console import Console

from mdctl.runtime.agreement import Agreement
from mdctl.runtime.peers import Peers
from mdctl.runtime.stop import Stop
from mdctl.runtime.watchdog import Watchdog
from mdctl.spec.job import JobSpec
from mdctl.spec.shard import Shard


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a task is given."""

    spec: JobSpec
    mesh: Mesh
    output: epath.Path
    shard: Shard  # of the prompts, where the job fans out
    progress: int  # as counted by the task when the attempt began
    peers: Peers
    agreement: Agreement
    stop: Stop
    watchdog: Watchdog
    console: Console

    @property
    def patience(self) -> float:
        """Return the seconds that anything may take which loads or compiles."""
        return self.spec.timeouts.compile_minutes * 60


@dataclass(frozen=True)
class Task:
    """How far a job has come, counted on rank 0 before an attempt; and how it goes on from there, on all hosts."""

    progress: Callable[[JobSpec, epath.Path, Shard], int]
    run: Callable[[Surroundings], None]

"""One attempt at a job, from the spec to the end of its task.

place -> log -> spec -> JAX -> peers -> handshake -> devices -> diary -> task
"""

import faulthandler
import logging
import os
import tempfile
from functools import partial
from importlib.metadata import version
from pathlib import Path

import jax
import yaml
from etils import epath
from rich.console import Console

from mdctl.parallel.mesh import make_mesh
from mdctl.runtime.agreement import Agreement
from mdctl.runtime.attempts import Beginning, Diary, end_crash_loop, folder_of, home, next_number, open_attempt
from mdctl.runtime.connect import check_platform, connect
from mdctl.runtime.departure import Departure
from mdctl.runtime.devices import check_devices, configure
from mdctl.runtime.exits import Exit
from mdctl.runtime.handshake import agree, begin
from mdctl.runtime.lifeline import Lifeline
from mdctl.runtime.log import fields, flush_log, log_to, shared, start_log
from mdctl.runtime.signals import install
from mdctl.runtime.stop import Stop
from mdctl.runtime.task import Surroundings
from mdctl.runtime.tasks import TASKS
from mdctl.runtime.watchdog import Watchdog
from mdctl.spec.environment import RESTART, RUN, SHARD, SHARDS, Place, read_place
from mdctl.spec.errors import PeerLost, SpecError
from mdctl.spec.job import DiffusionJob, JobSpec
from mdctl.spec.outputs import JOB
from mdctl.spec.reading import read_job, spec_hash
from mdctl.spec.shard import Shard
from mdctl.storage.lines import open_lines
from mdctl.storage.once import look, swap
from mdctl.storage.output import as_path, prepare_output

logger = logging.getLogger(__name__)


def run_attempt(job_file: Path, departure: Departure, stop: Stop, lifeline: Lifeline | None) -> None:
    """Run one attempt; returns when the task is done, and raises what ends it otherwise."""
    place = read_place(os.environ)
    console = Console(highlight=False)
    start_log(place.rank, console, place.number)
    job = read_job(job_file)
    _check_shard(job.spec, place.shard)
    configure(job.spec)
    check_platform(place, os.environ)
    limit = job.spec.timeouts.peers_minutes * 60
    peers = connect(place, limit)
    departure.join(peers)
    watchdog = Watchdog(partial(_hung, departure))
    watchdog.expect("the handshake", limit)
    incarnation = agree(peers, _identity(job), limit)
    check_devices(job.spec)
    install()  # again: the devices' runtime may have taken the signals
    beginning = begin(peers, partial(_open, job, place, incarnation), limit)
    assert job.spec.output_dir is not None
    output = as_path(job.spec.output_dir)
    attempts = home(output, place.shard)
    _keep_diary(Diary(folder_of(attempts, beginning.number), place.number), departure, stop, lifeline)
    _introduce(job, beginning)
    if peers.rank == 0:
        end_crash_loop(attempts, beginning)
    TASKS[job.spec.task].run(
        Surroundings(
            spec=job.spec,
            mesh=make_mesh(job.spec.layout),
            output=output,
            shard=place.shard,
            progress=beginning.progress,
            peers=peers,
            agreement=Agreement(peers, lambda cause: departure.leave(Exit(PeerLost.exit_code, cause))),
            stop=stop,
            watchdog=watchdog,
            console=console,
        )
    )


def _check_shard(spec: JobSpec, shard: Shard) -> None:
    """Compare the programs that the spec and the environment speak of."""
    if shard.count != spec.num_shards:
        raise SpecError(
            f"the spec divides its prompts among {spec.num_shards} programs ({spec.num_slices} x {spec.slice}), the "
            f"environment among {shard.count}; set {SHARD} and {SHARDS} to this program's part, or submit the job again"
        )


def _identity(job: DiffusionJob) -> dict[str, str]:
    """Return what must be equal on all hosts."""
    return {
        "spec": spec_hash(job),
        "version": f"mdctl {version('mdctl')}, jax {jax.__version__}",
        "restart": os.environ.get(RESTART, ""),
    }


def _open(job: DiffusionJob, place: Place, incarnation: str) -> Beginning:
    """Open the attempt in the output directory, on rank 0."""
    if job.spec.output_dir is None:
        raise SpecError("spec.outputDir is not set; name a folder, or gs://bucket/path, for checkpoints and logs")
    output = as_path(job.spec.output_dir)
    attempts = prepare_output(str(home(output, place.shard)))
    beginning = Beginning(
        number=next_number(attempts),
        run=os.environ.get(RUN, incarnation),
        incarnation=incarnation,
        spec=spec_hash(job),
        hosts=place.num_processes,
        progress=TASKS[job.spec.task].progress(job.spec, output, place.shard),
    )
    open_attempt(attempts, beginning)
    _keep_spec(output / JOB, job)
    return beginning


def _keep_spec(path: epath.Path, job: DiffusionJob) -> None:
    """Write the resolved spec, unless it is there: of several programs one does."""
    resolved = job.model_dump(mode="json", by_alias=True)
    content = yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True).encode()
    found = look(path)
    if found.content != content:
        swap(path, found, content)  # if it is too late, another program has written the same


def _keep_diary(diary: Diary, departure: Departure, stop: Stop, lifeline: Lifeline | None) -> None:
    """Record from now on what this host logs and how it ends."""
    log_to(open_lines(diary.log, keep=lambda record: True), diary.host)
    stop.witnesses.append(diary.stopping)
    departure.hooks += [lambda end, error: diary.ended(end), lambda end, error: flush_log()]
    if lifeline is not None:
        lifeline.tell(record=str(diary.exit))


def _introduce(job: DiffusionJob, beginning: Beginning) -> None:
    """Say which attempt this is, of what."""
    logger.info(
        "attempt begins",
        extra=fields(attempt=beginning.number, incarnation=beginning.incarnation, spec=beginning.spec, pid=os.getpid()),
    )
    logger.info(job.spec.layout.describe(), extra=shared())


def _hung(departure: Departure, cause: str) -> None:
    """Show what every thread is doing, and leave."""
    try:
        with tempfile.TemporaryFile("w+") as file:
            faulthandler.dump_traceback(file, all_threads=True)
            file.seek(0)
            logger.error("stacks of all threads\n%s", file.read())
    finally:
        departure.leave(Exit(PeerLost.exit_code, f"hung: {cause}"))

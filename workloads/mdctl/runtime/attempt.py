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
from mdctl.runtime.attempts import Beginning, Diary, end_crash_loop, folder_of, next_number, open_attempt
from mdctl.runtime.connect import check_platform, connect
from mdctl.runtime.departure import Departure
from mdctl.runtime.devices import check_devices, configure
from mdctl.runtime.exits import Exit
from mdctl.runtime.handshake import agree, begin
from mdctl.runtime.lifeline import Lifeline
from mdctl.runtime.log import fields, flush_log, log_to, shared, start_log
from mdctl.runtime.peers import Peers
from mdctl.runtime.signals import install
from mdctl.runtime.stop import Stop
from mdctl.runtime.task import Surroundings
from mdctl.runtime.tasks import TASKS
from mdctl.runtime.watchdog import Watchdog
from mdctl.spec.environment import RESTART, RUN, read_place
from mdctl.spec.errors import PeerLost, SpecError
from mdctl.spec.job import DiffusionJob
from mdctl.spec.outputs import JOB
from mdctl.spec.reading import read_job, spec_hash
from mdctl.storage.lines import open_lines
from mdctl.storage.output import as_path, prepare_output

logger = logging.getLogger(__name__)


def run_attempt(job_file: Path, departure: Departure, stop: Stop, lifeline: Lifeline | None) -> None:
    """Run one attempt; returns when the task is done, and raises what ends it otherwise."""
    place = read_place(os.environ)
    console = Console(highlight=False)
    start_log(place.rank, console)
    job = read_job(job_file)
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
    beginning = begin(peers, partial(_open, job, incarnation, peers.count), limit)
    output = _keep_diary(job, beginning, peers, departure, stop, lifeline)
    if peers.rank == 0:
        end_crash_loop(output, beginning)
    TASKS[job.spec.task].run(
        Surroundings(
            spec=job.spec,
            mesh=make_mesh(job.spec.layout),
            output=output,
            progress=beginning.progress,
            peers=peers,
            agreement=Agreement(peers, lambda cause: departure.leave(Exit(PeerLost.exit_code, cause))),
            stop=stop,
            watchdog=watchdog,
            console=console,
        )
    )


def _identity(job: DiffusionJob) -> dict[str, str]:
    """Return what must be equal on all hosts."""
    return {
        "spec": spec_hash(job),
        "version": f"mdctl {version('mdctl')}, jax {jax.__version__}",
        "restart": os.environ.get(RESTART, ""),
    }


def _open(job: DiffusionJob, incarnation: str, hosts: int) -> Beginning:
    """Open the attempt in the output directory, on rank 0."""
    if job.spec.output_dir is None:
        raise SpecError("spec.outputDir is not set; name a folder, or gs://bucket/path, for checkpoints and logs")
    output = prepare_output(job.spec.output_dir)
    beginning = Beginning(
        number=next_number(output),
        run=os.environ.get(RUN, incarnation),
        incarnation=incarnation,
        spec=spec_hash(job),
        hosts=hosts,
        progress=TASKS[job.spec.task].progress(job.spec, output),
    )
    open_attempt(output, beginning)
    resolved = job.model_dump(mode="json", by_alias=True)
    (output / JOB).write_text(yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True))
    return beginning


def _keep_diary(
    job: DiffusionJob, beginning: Beginning, peers: Peers, departure: Departure, stop: Stop, lifeline: Lifeline | None
) -> epath.Path:
    """Record from now on what this host logs and how it ends; return the output directory."""
    assert job.spec.output_dir is not None
    output = as_path(job.spec.output_dir)
    diary = Diary(folder_of(output, beginning.number), peers.rank)
    log_to(open_lines(diary.log, keep=lambda record: True), peers.rank)
    stop.witnesses.append(diary.stopping)
    departure.hooks += [lambda end, error: diary.ended(end), lambda end, error: flush_log()]
    if lifeline is not None:
        lifeline.tell(str(diary.exit))
    logger.info(
        "attempt begins",
        extra=fields(attempt=beginning.number, incarnation=beginning.incarnation, spec=beginning.spec, pid=os.getpid()),
    )
    logger.info(job.spec.layout.describe(), extra=shared())
    return output


def _hung(departure: Departure, cause: str) -> None:
    """Show what every thread is doing, and leave."""
    try:
        with tempfile.TemporaryFile("w+") as file:
            faulthandler.dump_traceback(file, all_threads=True)
            file.seek(0)
            logger.error("stacks of all threads\n%s", file.read())
    finally:
        departure.leave(Exit(PeerLost.exit_code, f"hung: {cause}"))

"""`mdctl list`."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from mdctl.cli import output
from mdctl.cli.connection import Context, Kubeconfig, Namespace, connect
from mdctl.cli.options import Output

if TYPE_CHECKING:
    from mdctl.cluster.snapshot import Snapshot
    from mdctl.results.jobs import RecordedJob

PHASES = (
    *("Suspended", "Queued", "Pending", "Starting", "Running", "Restarting", "Deleting"),
    *("Completed", "Failed", "Cancelled", "Gone"),
)

Everywhere = Annotated[bool, typer.Option("--all-namespaces", "-A", help="The jobs of all namespaces.")]
Phases = Annotated[
    list[str] | None,
    typer.Option("--phase", metavar="PHASE", help=f"Only these; may be given several times: {', '.join(PHASES)}."),
]
Live = Annotated[bool, typer.Option("--live", help="Only what is on the cluster, not what output directories keep.")]


def list_(
    *,
    everywhere: Everywhere = False,
    phases: Phases = None,
    live: Live = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    form: Output = output.Format.TABLE,
) -> None:
    """List jobs, the newest first.

    Those on the cluster; and those that have finished, were deleted or have expired, of which the `output_dir` of
    `mdctl config` keeps records.

    \b
    mdctl list
    mdctl list -A --phase Running --phase Queued -o json
    """
    from concurrent.futures import ThreadPoolExecutor

    from mdctl.cli.records import all_records
    from mdctl.cluster.snapshot import observe_all

    wanted = _known(phases or ())
    cluster = connect(context, kubeconfig, namespace)
    with ThreadPoolExecutor(1) as pool:
        kept = pool.submit(lambda: ([], None) if live else all_records())
        snapshots = observe_all(cluster, everywhere=everywhere)
        records, problem = kept.result()
    if problem:
        output.warning(f"only jobs on the cluster are listed: {problem}")
    found = [row for row in _rows(snapshots, records) if not wanted or row["phase"] in wanted]
    hidden = () if form is not output.Format.TABLE else ("cancelled",) if everywhere else ("cancelled", "namespace")
    output.rows([{key: value for key, value in row.items() if key not in hidden} for row in found], form)
    if not found:
        output.note(f"no jobs{' of that phase' if wanted else ''} (see --all-namespaces, `mdctl submit --help`)")


def _known(phases: Sequence[str]) -> set[str]:
    """Return phases as they are spelt; refuse what is none."""
    spelt = {phase.lower(): phase for phase in PHASES}
    for phase in phases:
        if phase.lower() not in spelt:
            raise typer.BadParameter(f"{phase!r} is no phase; there are: {', '.join(PHASES)}", param_hint="'--phase'")
    return {spelt[phase.lower()] for phase in phases}


def _rows(snapshots: "Iterable[Snapshot]", records: "Sequence[RecordedJob]") -> Iterator[output.Row]:
    from mdctl.cli.description import began, from_epoch, kept_row, live_row
    from mdctl.cli.records import outcomes_of
    from mdctl.cluster.state import summarise

    now = datetime.now(UTC)
    states = [(each, summarise(each)) for each in snapshots]
    there = {state.name for _, state in states}
    written = {record.name: record for record in reversed(records)}  # of one name the newest
    gone = [record for record in records if record.name not in there]
    rows = [(state.created, live_row(each, state, written.get(state.name), now)) for each, state in states]
    rows += [
        (from_epoch(began(record, outcome)), kept_row(record, outcome, now))
        for record, outcome in zip(gone, outcomes_of(gone), strict=True)
    ]
    for _, row in sorted(rows, key=lambda pair: pair[0] or now, reverse=True):
        yield row

"""`mdctl cluster`: what is done to a cluster once, by whoever runs it."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mdctl.cli import output
from mdctl.cli.connection import Context, Kubeconfig, connect
from mdctl.cli.options import Output
from mdctl.cluster.presets import QueuePreset

if TYPE_CHECKING:
    from mdctl.cluster.installing import Step

app = typer.Typer(name="cluster", help="Prepare a cluster for jobs.", no_args_is_help=True, rich_markup_mode=None)

Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="The namespace people will submit jobs to.")]
Preset = Annotated[
    QueuePreset,
    typer.Option("--queue-preset", help="What the queue covers: accelerators; cpu and memory too; or places them."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, as the server judges it, and stop.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command()
def install(
    *,
    preset: Preset = QueuePreset.ACCELERATORS,
    dry_run: DryRun = False,
    yes: Yes = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    form: Output = output.Format.TABLE,
) -> None:
    """Install roles, a queue, and the kind DiffusionJob.

    A Role for those who submit jobs, in one namespace; a queue over the accelerators that the cluster has. Prints what
    it would do, and asks. Done again it changes nothing, and a quota is never lowered.

    \b
    mdctl cluster install -n video --dry-run
    mdctl cluster install -n video --queue-preset everything --yes
    """
    from mdctl.cluster.installing import carry_out, plan

    cluster = connect(context, kubeconfig, namespace)
    steps = plan(cluster, preset)
    output.rows([_row(step, form) for step in steps], form)
    for step in steps:
        output.notes(_remarks(step))
    due = [step for step in steps if step.is_due]
    if not due:
        output.note("everything is as it should be")
    elif dry_run:
        output.note(f"{len(due)} of {len(steps)} would be applied; nothing was changed")
    elif yes or _agreed(len(due)):
        for step in carry_out(cluster, steps):
            output.note(f"{step.name}: done")
        output.notes(_next_steps(cluster.namespace, preset))
    else:
        output.note("nothing was changed")


def _row(step: "Step", form: output.Format) -> output.Row:
    row = {"name": step.name, "namespace": step.wanted["metadata"].get("namespace"), "change": step.change.value}
    return row if form in (output.Format.TABLE, output.Format.NAME) else {**row, "object": step.wanted}


def _remarks(step: "Step") -> list[str]:
    if step.is_left_alone:
        return [f"{step.name} is there and is not mdctl's, so it stays as it is"]
    return [f"{step.name}:", *(f"  {line}" for line in step.difference)] if step.difference else []


def _agreed(count: int) -> bool:
    """Ask, where there is somebody to answer.

    Raises:
        UserError: there is nobody.
    """
    from mdctl.spec.errors import UserError

    if not sys.stdin.isatty():
        raise UserError("nothing was changed: there is nobody to ask; add --yes, or --dry-run to only look")
    return typer.confirm(f"apply {count}?", err=True)


def _next_steps(namespace: str, preset: QueuePreset) -> list[str]:
    bind = "kubectl create rolebinding mdctl-users --role mdctl-user --group GROUP -n"
    queue = [] if preset is QueuePreset.NONE else ["use the queue: `mdctl config set queue mdctl`, or --queue mdctl"]
    return [f"let people submit: `{bind} {namespace}`", *queue, "see that all is well: `mdctl doctor`"]

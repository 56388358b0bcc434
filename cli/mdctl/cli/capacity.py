"""`mdctl capacity`."""

from typing import TYPE_CHECKING, Annotated

import typer

from mdctl.cli import output
from mdctl.cli.connection import Context, Kubeconfig, Namespace, connect
from mdctl.cli.options import Output

if TYPE_CHECKING:
    from mdctl.cluster.capacity import Capacity

SliceArgument = Annotated[
    str | None, typer.Argument(metavar="SLICE", help="Only this one, be it there or not: v5p-64, v6e-8, h100-16.")
]


def capacity(
    slice_name: SliceArgument = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    form: Output = output.Format.TABLE,
) -> None:
    """Show what a cluster has of each kind of slice.

    The nodes of its pools, and how many whole slices the free ones make up; and how many slices each queue could admit
    now, whoever waits in it. A slice starts where both have room.

    \b
    mdctl capacity
    mdctl capacity v5p-64 -n research
    """
    from mdctl.cluster.capacity import measure, observe_xpk
    from mdctl.cluster.pools import observe_pools
    from mdctl.cluster.queues import observe_queues
    from mdctl.cluster.readable import NotReadable
    from mdctl.spec.slices import resolve_slice

    wanted = resolve_slice(slice_name) if slice_name else None
    cluster = connect(context, kubeconfig, namespace)
    pools, queues = observe_pools(cluster), observe_queues(cluster)
    found = measure(pools, queues, observe_xpk(cluster), wanted)
    output.rows([_row(each, form) for each in found], form)
    hidden = ["nodes"] if isinstance(pools, NotReadable) else [] if pools.users_known else ["pods of other namespaces"]
    hidden += queues[0].hidden if queues else ()
    if hidden:
        output.note(f"not readable with these credentials: {', '.join(hidden)}")
    if not found:
        output.note("no node with TPUs or GPUs is to be seen; name a slice, to see what the queues have of it")


def _row(each: "Capacity", form: output.Format) -> output.Row:
    queues: object = dict(each.queues)
    if form is output.Format.TABLE:
        queues = [f"{name} {'?' if count is None else count}" for name, count in each.queues.items()]
    known = each.pools is not None
    return {
        "name": each.slice.name,
        "chips": each.slice.chips,
        "pools": [pool.name for pool in each.pools or ()] if known else None,
        "nodes": each.nodes if known else None,
        "ready": each.ready if known else None,
        "free slices": each.free,
        "queues admit": queues,
        **({"xpk nodes": each.xpk} if each.xpk is not None else {}),
    }

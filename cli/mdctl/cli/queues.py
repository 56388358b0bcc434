"""`mdctl queues`."""

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from mdctl.cli import output
from mdctl.cli.connection import Context, Kubeconfig, Namespace, connect
from mdctl.cli.options import Output

if TYPE_CHECKING:
    from mdctl.cluster.queues import QueueView

Amounts = tuple[str | None, str | None, Decimal | None, Decimal | None, Decimal | None]


def queues(
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    form: Output = output.Format.TABLE,
) -> None:
    """List the queues of a namespace: what of what is used, and how many jobs wait.

    A queue is a LocalQueue of Kueue; its quotas are those of the ClusterQueue behind it, which others may use too.

    \b
    mdctl queues
    mdctl queues -n research -o json
    """
    from mdctl.cluster.queues import observe_queues

    cluster = connect(context, kubeconfig, namespace)
    views = observe_queues(cluster)
    output.rows([row for view in views for row in _rows(view)], form)
    for view in views[:1]:
        if view.hidden:
            output.note(f"not readable with these credentials: {', '.join(view.hidden)}")
    if not views:
        output.note(f"namespace {cluster.namespace} has no queues; `mdctl cluster install` makes some")


def _rows(view: "QueueView") -> Iterator[output.Row]:
    """Yield a line for each flavour of a queue that has a quota, or that is used."""
    from mdctl.cluster.amounts import noun, shown

    line = {"name": view.name, "cluster queue": view.behind, "state": view.state, "waiting": view.num_waiting}
    amounts = list(_amounts(view))
    for flavor, resource, used, quota, most in amounts or [(None, None, None, None, None)]:
        yield {
            **line,
            "flavor": flavor,
            "resource": resource and noun(resource),
            "used": None if used is None or resource is None else shown(resource, used),
            "quota": None if quota is None or resource is None else shown(resource, quota),
            "with borrowing": None if most is None or resource is None else shown(resource, most),
        }


def _amounts(view: "QueueView") -> "Iterator[Amounts]":
    """Yield a flavour, a resource, what is used, the quota, and what it may come to with borrowing where it is more."""
    from mdctl.cluster.queues import own_usage, quotas

    if not isinstance(view.cluster_queue, dict):
        yield from (
            (flavor, resource, used, None, None) for flavor, resource, used in own_usage(view.local_queue) if used
        )
        return
    for each in quotas(view.cluster_queue):
        if each.nominal or each.used:
            more = None if each.most == each.nominal else each.most
            yield each.flavor, each.resource, each.used, each.nominal, more

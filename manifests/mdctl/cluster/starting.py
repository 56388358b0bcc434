"""Why hosts that have a node do not run: what their containers wait for, in the kubelet's words."""

import re
from collections.abc import Sequence

from mdctl.cluster.events import Event
from mdctl.cluster.host_state import HostState, Waiting
from mdctl.cluster.readable import NotReadable
from mdctl.cluster.why import Row, Why, listed, plural

IMAGE = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError")
"""Reasons that mean: the image cannot be had."""
CONFIG = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError")
UNMOUNTED = ("FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox")
"""Reasons of events of pods that stay at ContainerCreating."""


def why_not_started(namespace: str, hosts: Sequence[HostState], events: Sequence[Event] | NotReadable) -> Why:
    """Return why hosts do not run yet."""
    idle = [host for host in hosts if host.is_active and not host.is_ready]
    table = tuple(_row(host) for host in idle)
    unread = (str(events),) if isinstance(events, NotReadable) else ()
    known = () if isinstance(events, NotReadable) else events
    for reasons, explain in ((IMAGE, _image), (CONFIG, _config)):
        stuck = [host for host in idle if host.waiting and host.waiting.reason in reasons]
        if stuck:
            waiting = stuck[0].waiting
            assert waiting
            where = f"on {len(stuck)} of {plural(len(hosts), 'host')}"
            return Why(sentence=explain(namespace, waiting, where, known), table=table, unread=unread)
    trouble = [each for each in known if each.reason in UNMOUNTED and each.kind == "Pod"]
    if trouble:
        return Why(sentence=_unmounted(namespace, trouble[-1]), table=table, unread=unread)
    return Why(sentence=_on_its_way(idle), table=table, unread=unread, passes=True)


def _image(namespace: str, waiting: Waiting, where: str, events: Sequence[Event]) -> str:
    told = [each.message for each in events if each.kind == "Pod" and each.message.startswith("Failed to pull image")]
    said = _registry(told[-1] if told else waiting.message, waiting.image)
    return (
        f"image {waiting.image} cannot be pulled {where}: {said or waiting.reason}; is it there, and may the nodes "
        "read it (imagePullSecrets)?"
    )


def _registry(said: str, image: str) -> str:
    """Return what the registry said, without what every such message begins with."""
    said = said.rpartition("desc = ")[2]
    for start in (f'Back-off pulling image "{image}": ', "ErrImagePull: ", f'Failed to pull image "{image}": '):
        said = said.removeprefix(start)
    return said.removeprefix(f'Back-off pulling image "{image}"').strip()


def _config(namespace: str, waiting: Waiting, where: str, events: Sequence[Event]) -> str:
    said = waiting.message or waiting.reason
    return f"the container cannot be made {where}: {said}{_create(namespace, said)}"


def _unmounted(namespace: str, event: Event) -> str:
    count = plural(len(event.names), "pod")
    return f"the container of {count} cannot be made: {event.message}{_create(namespace, event.message)}"


def _create(namespace: str, said: str) -> str:
    """Return the next step where something of the namespace is missing."""
    match = re.search(r'(secret|configmap) "([^"]+)" not found', said)
    return f"; create that {match[1]} in namespace {namespace}" if match else ""


def _on_its_way(idle: Sequence[HostState]) -> str:
    nodes = [host.node for host in idle if host.node]
    reasons = sorted({host.waiting.reason for host in idle if host.waiting and host.waiting.reason})
    what = f" ({listed(reasons)})" if reasons else ""
    return (
        f"{plural(len(idle), 'host')} on {listed(nodes)} start{'s' if len(idle) == 1 else ''}{what}: images are pulled "
        "and volumes mounted"
    )


def _row(host: HostState) -> Row:
    message = host.waiting.message if host.waiting else ""
    return {"name": host.number, "node": host.node, "state": host.container, "message": message or None}

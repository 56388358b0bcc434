"""Why Jobs or pods of a job were not made: what controllers told of their tries."""

import re
from collections.abc import Sequence

from mdctl.cluster.events import Event
from mdctl.cluster.readable import NotReadable
from mdctl.cluster.snapshot import Snapshot
from mdctl.cluster.why import Why

WAITS_FOR_LEADER = "follower pod node selector"
"""How JobSet's webhook refuses pods whose slice's first pod has no node yet."""

# what controllers say (the first row that fits), what it means and the next step
MEANINGS = (
    (
        r'jobs.batch "(?P<name>[^"]+)" already exists',
        "its Job {name} cannot be made: there is one of that name that is not its own; delete that "
        "(`kubectl delete job {name} -n {namespace}`), or submit it again under another --name",
    ),
    (
        r'services "(?P<name>[^"]+)" already exists',
        "its Service {name} cannot be made: there is one of that name that is not its own; submit it again under "
        "another --name",
    ),
    (
        r'service ?account "?(?P<name>[^" ]+)"? not found',
        "its pods cannot be made: namespace {namespace} has no ServiceAccount {name}; create it "
        "(`kubectl create serviceaccount {name} -n {namespace}`), or submit it again with another serviceAccount",
    ),
    (
        r"no PriorityClass with name (?P<name>\S+) was found",
        "its pods cannot be made: the cluster has no PriorityClass {name}; submit it again with another "
        "queue.podPriority",
    ),
    (
        r"exceeded quota: (?P<name>[^,]+), (?P<said>.*)",
        "its pods cannot be made: ResourceQuota {name} of namespace {namespace} is used up ({said})",
    ),
    (
        r'violates PodSecurity "(?P<name>[^"]+)": (?P<said>.*)',
        "its pods cannot be made: namespace {namespace} enforces the Pod Security profile {name} ({said}); use another "
        "namespace",
    ),
)


def why_not_made(snapshot: Snapshot, events: Sequence[Event] | NotReadable, missing: int) -> Why:
    """Return why pods of a job are missing."""
    if isinstance(events, NotReadable):
        return Why(sentence=f"{missing} of its pods are not made yet; why, events tell", unread=(str(events),))
    tries = failed_tries(events)
    if not tries:
        return Why(sentence=f"{missing} of its pods are about to be made", passes=True)
    table = tuple({"name": each.object, "times": each.count, "said": each.message} for each in tries)
    return Why(sentence=meaning(snapshot, tries[-1].message), table=table)


def failed_tries(events: Sequence[Event] | NotReadable) -> list[Event]:
    """Return the failed tries to make Jobs or pods; none where the last one only waits for its slice's first pod."""
    known = [] if isinstance(events, NotReadable) else events
    tries = [each for each in known if each.type == "Warning" and _is_try(each)]
    return [] if tries and WAITS_FOR_LEADER in tries[-1].message else tries


def meaning(snapshot: Snapshot, said: str) -> str:
    """Return what a refusal to make a Job or a pod means, and what to do about it."""
    for form, sentence in MEANINGS:
        if match := re.search(form, said):
            return sentence.format(namespace=snapshot.namespace, **match.groupdict())
    return f"its Jobs or pods cannot be made: {said.removeprefix('Error creating: ')}"


def _is_try(event: Event) -> bool:
    return event.reason == "FailedCreate" or event.reason.endswith("CreationFailed")

"""What is checked on a cluster before a job is created: everything that would keep it from ever running.

    dry run of the JobSet       the name is taken, there is no such namespace, no JobSet, a webhook refuses
    ... of its first Job        mistakes in the templates, which a dry run of the JobSet does not look into
    ... of its first Pod        Pod Security, ServiceAccount, PriorityClass, ResourceQuota, LimitRange
    GET Service                 a stranger of that name, which JobSet would silently use
    list Jobs of no JobSet      likewise; only where there are several slices: the first was judged above
    GET the Secret              and its key; several are listed, or got one by one by those who may not list them
    list LocalQueues            in a queue only; what it covers is read from its status
    list WorkloadPriorityClasses   where a priority is named
    GET ClusterQueue, list ResourceFlavors   whether the queue could ever give as much, which `mdctl status` tells too

One Job and one Pod are judged for all: those of a JobSet are of one shape, and differ in their index only.

A submit takes nine requests at most, one that is refused ten. A queue's quota is read where requests are left for it,
and everything else always. Who may not create Pods gets up to three more, for what their dry run would have told. What
these credentials may not look at is named, and is no mistake.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from mdctl.cluster.client import Cluster
from mdctl.cluster.demand import covered_by, covered_in, demand, uncovered, unfitting
from mdctl.cluster.jobs import JOBSET_LABEL, PRIORITY_LABEL, QUEUE_LABEL
from mdctl.cluster.security import profile_problem, refused_by_profile
from mdctl.render.cuts import cut_job, cut_pod
from mdctl.spec.errors import ClusterError

Object = dict[str, Any]

MOST = 9
"""Requests that a submit takes at most."""
BEFORE_AND_AFTER = 2
"""Of those, the JobSet's dry run and its creation."""
NOT_HELMS = "type!=helm.sh/release.v1"
"""Selects Secrets but for those in which Helm keeps whole charts."""


@dataclass
class Findings:
    """What is wrong, what these credentials could not look at, and what no request was left for."""

    problems: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def examine(cluster: Cluster, jobset: Object, *, replaced: Object | None = None) -> Findings:
    """Return what would keep a JobSet from running; what belongs to a job that it replaces is not in its way.

    Raises:
        ClusterError: the server does not answer, or refuses a question for another reason than a missing permission.
    """
    look = _Look(cluster, jobset, replaced)
    look.at_job()
    pod = look.at_pod()
    look.at_strangers()
    look.at_secrets(pod)
    look.at_queue(pod)
    return look.findings


def may_not(error: ClusterError) -> bool:
    """Whether a refusal is for a missing permission, and not the judgement of an admission controller."""
    return error.status == 403 and "cannot " in str(error) and " resource " in str(error)


class _Look:
    """One examination: each `at_` looks at one thing, and notes what it finds."""

    def __init__(self, cluster: Cluster, jobset: Object, replaced: Object | None) -> None:
        self.cluster = cluster
        self.jobset = jobset
        self.replaced = replaced
        self.findings = Findings()
        self.asked = 0  # requests

    @property
    def name(self) -> str:
        return str(self.jobset["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.jobset["metadata"].get("namespace", self.cluster.namespace))

    def at_job(self) -> None:
        job = cut_job(self.jobset)
        try:
            self._ask("its Jobs", lambda: self.cluster.create(job, dry_run=True))
        except ClusterError as error:
            if error.status != 409:
                self._problem(str(error))
            elif there := self.cluster.find(job):
                self._stranger(there)

    def at_pod(self) -> Object:
        """Return the first Pod, as the server completes it where that can be asked."""
        pod = cut_pod(self.jobset)
        try:
            answer = self._ask("its Pods", lambda: self.cluster.create(pod, dry_run=True))
        except ClusterError as error:
            if error.status != 409:  # judged, and good; the pods get names of their own
                self.findings.problems += self._of_pod(pod, error)
            return pod
        if answer is None:
            self._at_pods_surroundings(pod)
        return answer or pod

    def at_strangers(self) -> None:
        group, network = self.jobset["spec"]["replicatedJobs"][0], self.jobset["spec"]["network"]
        if network["enableDNSHostnames"]:
            service = self._get("Service", network["subdomain"])
            if service is not None:
                self._stranger(service)
        if group["replicas"] > 1:
            names = {f"{self.name}-{group['name']}-{index}" for index in range(1, group["replicas"])}
            strangers = self._list("foreign Jobs", "Job", labels=f"!{JOBSET_LABEL}")
            for each in strangers or ():
                if each["metadata"]["name"] in names:
                    self._stranger({"kind": "Job", **each})

    def at_secrets(self, pod: Object) -> None:
        wanted = _secrets(pod["spec"])
        for name, secret in self._secrets_of(sorted(wanted)).items():
            if secret is None:
                self._problem(
                    f"Secret {name} is not in namespace {self.namespace}; create it, or name another in the spec"
                )
                continue
            there = sorted(secret.get("data") or ())
            for key in wanted[name]:
                if key not in there:
                    self._problem(f"Secret {name} has no key {key!r}; it has: {', '.join(there) or 'none'}")

    def at_queue(self, pod: Object) -> None:
        labels = self.jobset["metadata"]["labels"]
        if QUEUE_LABEL not in labels:
            return
        name = labels[QUEUE_LABEL]
        try:
            queues = self._list(f"queue {name}", "LocalQueue")
        except ClusterError as error:
            if error.status != 404:
                raise
            self._problem(f"queue.name is {name!r}, but the cluster has no Kueue; install it, or leave queue.name out")
            return
        queue = next((each for each in queues or () if each["metadata"]["name"] == name), None)
        if queues is not None and queue is None:
            others = _listed(queues) or "ask the cluster's administrator for one, or leave queue.name out"
            self._problem(f"queue.name is {name!r}, which namespace {self.namespace} does not have; {others}")
        if PRIORITY_LABEL in labels:
            self._known("WorkloadPriorityClass", labels[PRIORITY_LABEL], "queue.priority")
        if queue is not None:
            self._in_queue(queue, pod)

    def _in_queue(self, queue: Object, pod: Object) -> None:
        """Look at what a queue covers, and with the requests that are left at whether it could ever give as much."""
        name = queue["metadata"]["name"]
        for condition in queue.get("status", {}).get("conditions", ()):
            if condition["type"] == "Active" and condition["status"] == "False":
                self._problem(f"queue {name} admits nothing now: {condition['message']}; use another queue")
        wanted, covered = demand(self.jobset, pod), covered_in(queue)
        spare = MOST - BEFORE_AND_AFTER - self.asked
        if spare < 2:
            self.findings.left_out.append(f"whether queue {name} could ever give it what it asks for")
        cluster_queue = self._get("ClusterQueue", queue["spec"]["clusterQueue"]) if spare > 0 or not covered else None
        covered = covered_by(cluster_queue) if cluster_queue else covered
        self.findings.problems += uncovered(wanted, name, covered) if covered else ()
        if cluster_queue:
            flavors = self._list("ResourceFlavors", "ResourceFlavor") if spare > 1 else None
            self.findings.problems += unfitting(wanted, name, cluster_queue, flavors)

    def _of_pod(self, pod: Object, error: ClusterError) -> Iterator[str]:
        """Yield what a refusal of the Pod means; a missing name of another object is looked for first."""
        said, spec = str(error), pod["spec"]
        if problem := refused_by_profile(self.namespace, said):
            yield problem
        elif "no PriorityClass" in said:
            yield _unknown(
                "PriorityClass", spec["priorityClassName"], "queue.podPriority", self._there("PriorityClass")
            )
        elif "service account" in said and "not found" in said:
            name = spec.get("serviceAccountName", "default")
            yield (
                f"serviceAccount is {name!r}, which namespace {self.namespace} does not have; create it "
                f"(`kubectl create serviceaccount {name} -n {self.namespace}`), or name another"
            )
        else:
            yield said

    def _at_pods_surroundings(self, pod: Object) -> None:
        """Look at what a dry run of the Pod would have told, for those who may not create Pods."""
        spec = pod["spec"]
        if namespace := self._get("Namespace", self.namespace):
            self.findings.problems += profile_problem(namespace, spec)
        if "serviceAccountName" in spec:
            self._named("ServiceAccount", spec["serviceAccountName"], "create it, or name another in")
        if "priorityClassName" in spec:
            self._known("PriorityClass", spec["priorityClassName"], "queue.podPriority")

    def _stranger(self, found: Object) -> None:
        metadata = found["metadata"]
        owners = {owner["uid"]: owner for owner in metadata.get("ownerReferences", ())}
        if self.replaced and self.replaced["metadata"]["uid"] in owners:
            return
        what = f"{found['kind']} {self.namespace}/{metadata['name']}"
        if any((owner["kind"], owner["name"]) == ("JobSet", self.name) for owner in owners.values()):
            self._problem(f"{what} is left of an earlier job of this name, and is being deleted; try again in a moment")
        else:
            self._problem(f"{what} is there already and is not this job's; choose another name with --name")

    def _named(self, kind: str, name: str, otherwise: str) -> Object | None:
        found = self._get(kind, name)
        if found is None and self._was_answered(f"{kind} {name}"):
            self._problem(f"{kind} {name} is not in namespace {self.namespace}; {otherwise} the spec")
        return found

    def _known(self, kind: str, name: str, path: str) -> None:
        """Note where a kind that is in no namespace has no object of that name, with those that there are."""
        try:
            there = self._list(f"{kind} {name}", kind)
        except ClusterError as error:
            if error.status != 404:
                raise
            there = []
        if there is not None and name not in (each["metadata"]["name"] for each in there):
            self._problem(_unknown(kind, name, path, there))

    def _there(self, kind: str) -> list[Object]:
        """Return the objects of a kind to choose from, as far as these credentials may look."""
        try:
            return self.cluster.objects(kind)
        except ClusterError:
            return []

    def _secrets_of(self, names: list[str]) -> dict[str, Object | None]:
        """Return those of these Secrets that may be looked at: in one request, or one by one as far as that goes."""
        if len(names) > 1:
            what = f"Secrets {' and '.join(names)}"
            listed = self._list(what, "Secret", fields=NOT_HELMS)
            if listed is not None:
                there = {each["metadata"]["name"]: each for each in listed}
                return {name: there.get(name) for name in names}
            if len(names) > self._left():
                return {}
            self.findings.unchecked.remove(what)
        found = {name: self._get("Secret", name) for name in names}
        return {name: each for name, each in found.items() if self._was_answered(f"Secret {name}")}

    def _left(self) -> int:
        """Return the requests that are left once a queue and a priority are looked at."""
        labels = self.jobset["metadata"]["labels"]
        return MOST - BEFORE_AND_AFTER - self.asked - sum(each in labels for each in (QUEUE_LABEL, PRIORITY_LABEL))

    def _get(self, kind: str, name: str) -> Object | None:
        return self._ask(f"{kind} {name}", lambda: self.cluster.get(kind, name, self.namespace))

    def _list(self, what: str, kind: str, *, labels: str = "", fields: str = "") -> list[Object] | None:
        return self._ask(what, lambda: self.cluster.objects(kind, self.namespace, labels=labels, fields=fields))

    def _ask[T](self, what: str, ask: Callable[[], T]) -> T | None:
        """Return an answer; where these credentials may not ask, note that and return None."""
        self.asked += 1
        try:
            return ask()
        except ClusterError as error:
            if not may_not(error):
                raise
            self.findings.unchecked.append(what)
            return None

    def _was_answered(self, what: str) -> bool:
        return what not in self.findings.unchecked

    def _problem(self, text: str) -> None:
        self.findings.problems.append(text)


def _unknown(kind: str, name: str, path: str, there: list[Object]) -> str:
    return f"{path} is {name!r}, but the cluster has no such {kind}; {_listed(there) or 'leave it out'}"


def _listed(there: list[Object]) -> str:
    """Return the names that there are, to choose from."""
    names = sorted(each["metadata"]["name"] for each in there)
    return f"there are: {', '.join(names)}" if names else ""


def _secrets(spec: Object) -> dict[str, list[str]]:
    """Return the Secrets that a pod needs, with the keys that it reads of each."""
    found: dict[str, list[str]] = {}
    for reference in spec.get("imagePullSecrets", ()):
        found.setdefault(reference["name"], [])
    for volume in spec.get("volumes", ()):
        if "secret" in volume:
            found.setdefault(volume["secret"]["secretName"], [])
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        for variable in container.get("env", ()):
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            if reference:
                found.setdefault(reference["name"], []).append(reference["key"])
    return found

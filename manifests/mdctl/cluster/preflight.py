"""What is checked on a cluster before a job is created: everything that would keep it from ever running.

    dry run of the JobSet       the name is taken, there is no such namespace, no JobSet, a webhook refuses
    ... of its first Job        mistakes in the templates, which a dry run of the JobSet does not look into
    ... of its first Pod        Pod Security, ServiceAccount, PriorityClass, ResourceQuota, LimitRange
    GET Service                 a stranger of that name, which JobSet would silently use
    list Jobs of no JobSet      likewise; only where there are several slices: the first was judged above
    GET each Secret             and its key
    GET LocalQueue, ClusterQueue, list ResourceFlavors, GET WorkloadPriorityClass       in a queue only

So that is three requests and one for each thing that the spec names; one or two more where something is wrong, to say
what would be right. What these credentials may not look at is named, and is no mistake.
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


@dataclass
class Findings:
    """What is wrong, and what could not be looked at."""

    problems: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)


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
            strangers = self._ask(
                "foreign Jobs", lambda: self.cluster.objects("Job", self.namespace, labels=f"!{JOBSET_LABEL}")
            )
            for each in strangers or ():
                if each["metadata"]["name"] in names:
                    self._stranger({"kind": "Job", **each})

    def at_secrets(self, pod: Object) -> None:
        for name, keys in _secrets(pod["spec"]).items():
            secret = self._named("Secret", name, "create it, or name another in")
            for key in keys if secret else ():
                there = sorted(secret.get("data") or ()) if secret else []
                if key not in there:
                    self._problem(f"Secret {name} has no key {key!r}; it has: {', '.join(there) or 'none'}")

    def at_queue(self, pod: Object) -> None:
        labels = self.jobset["metadata"]["labels"]
        if QUEUE_LABEL not in labels:
            return
        name = labels[QUEUE_LABEL]
        try:
            queue = self._ask(f"queue {name}", lambda: self.cluster.get("LocalQueue", name, self.namespace))
        except ClusterError as error:
            if error.status != 404:
                raise
            self._problem(f"queue.name is {name!r}, but the cluster has no Kueue; install it, or leave queue.name out")
            return
        if queue is not None:
            self._in_queue(queue, pod)
        elif self._was_answered(f"queue {name}"):
            self._problem(f"queue.name is {name!r}, which namespace {self.namespace} does not have{self._queues()}")
        if PRIORITY_LABEL in labels:
            self._known("WorkloadPriorityClass", labels[PRIORITY_LABEL], "queue.priority")

    def _in_queue(self, queue: Object, pod: Object) -> None:
        name = queue["metadata"]["name"]
        for condition in queue.get("status", {}).get("conditions", ()):
            if condition["type"] == "Active" and condition["status"] == "False":
                self._problem(f"queue {name} admits nothing now: {condition['message']}; use another queue")
        asked = demand(self.jobset, pod)
        cluster_queue = self._get("ClusterQueue", queue["spec"]["clusterQueue"])
        covered = covered_by(cluster_queue) if cluster_queue else covered_in(queue)
        self.findings.problems += uncovered(asked, name, covered) if covered else ()
        if cluster_queue:
            flavors = self._ask("ResourceFlavors", lambda: self.cluster.objects("ResourceFlavor"))
            if flavors is not None:
                self.findings.problems += unfitting(asked, name, cluster_queue, flavors)

    def _of_pod(self, pod: Object, error: ClusterError) -> Iterator[str]:
        """Yield what a refusal of the Pod means; a missing name of another object is looked for first."""
        said, spec = str(error), pod["spec"]
        if problem := refused_by_profile(self.namespace, said):
            yield problem
        elif "no PriorityClass" in said:
            self._known("PriorityClass", spec["priorityClassName"], "queue.podPriority")
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
            there = self._ask(f"{kind} {name}", lambda: self.cluster.get(kind, name))
        except ClusterError as error:
            if error.status != 404:
                raise
            there = None
        if there is None and self._was_answered(f"{kind} {name}"):
            others = self._names(kind)
            self._problem(f"{path} is {name!r}, but the cluster has no such {kind}; {others or 'leave it out'}")

    def _queues(self) -> str:
        others = self._names("LocalQueue")
        return f"; {others}" if others else "; ask the cluster's administrator for one, or leave queue.name out"

    def _names(self, kind: str) -> str:
        """Return the objects that there are of a kind, to choose from."""
        try:
            found = self.cluster.objects(kind, self.namespace)
        except ClusterError:
            return ""
        names = sorted(each["metadata"]["name"] for each in found)
        return f"there are: {', '.join(names)}" if names else ""

    def _get(self, kind: str, name: str) -> Object | None:
        return self._ask(f"{kind} {name}", lambda: self.cluster.get(kind, name, self.namespace))

    def _ask[T](self, what: str, ask: Callable[[], T]) -> T | None:
        """Return an answer; where these credentials may not ask, note that and return None."""
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

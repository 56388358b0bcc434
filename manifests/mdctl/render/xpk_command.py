"""The same job as a command of xpk: `xpk workload create`, whose pods start our worker by a script.

xpk's pods know nothing of us: no spec, no place among their peers, no variables of our own. So the command carries a
script that writes the first and sets the others. It is in base64, because xpk puts a command into YAML as it is, where
a quote breaks it.

    JOB_COMPLETION_INDEX    Kubernetes: the host in its slice; of GPUs, among all
    MEGASCALE_SLICE_ID      GKE: the slice, where there are several
"""

import base64
import shlex
from dataclasses import dataclass

from mdctl.render.environment import accelerator_variables
from mdctl.render.image import with_image
from mdctl.render.pod import resolved_yaml
from mdctl.render.xpk import NAMESPACE, PRIORITY, QUEUE, xpk_type
from mdctl.spec import environment as place
from mdctl.spec.environment import COORDINATOR_PORT
from mdctl.spec.errors import PeerLost, Preempted, SpecError
from mdctl.spec.job import DiffusionJob
from mdctl.spec.slices import Slice

GROUP = "slice-job"
"""xpk's name of the replicated job."""
SCRIPT = "/tmp/mdctl.sh"
SPEC = "/tmp/mdctl.yaml"
FOREVER = 10 * 365 * 86_400
MAX_COMMAND = 120_000
"""Characters that one word of a command line takes."""
RESTARTING = (1, Preempted.exit_code, PeerLost.exit_code)
"""Exit codes that xpk would not restart by itself: it does so from 127 on."""


@dataclass(frozen=True, kw_only=True)
class GkeCluster:
    """A cluster as xpk names it."""

    project: str
    location: str
    name: str


def workload_create(job: DiffusionJob, cluster: GkeCluster) -> list[str]:
    """Return the words of the command that creates a job by xpk.

    Raises:
        SpecError: xpk cannot express it; lists every reason.
    """
    job, slice_ = with_image(job), job.spec.resolved_slice
    if problems := _problems(job, slice_):
        raise SpecError(
            "\n".join(
                [f"xpk cannot create {job.metadata.name}; --preset xpk can:", *(f"  {each}" for each in problems)]
            )
        )
    spec, restarts = job.spec, job.spec.restarts
    lifetime = FOREVER if restarts.ttl_seconds_after_finished is None else restarts.ttl_seconds_after_finished
    options = {
        "workload": job.metadata.name,
        "cluster": cluster.name,
        "project": cluster.project,
        "zone": cluster.location,
        "namespace": job.metadata.namespace or NAMESPACE,
        **_hardware(job, slice_),
        "docker-image": spec.image,
        "docker-image-pull-secret": next(iter(spec.image_pull_secrets), None),
        "priority": spec.queue.pod_priority or PRIORITY,
        "max-restarts": restarts.max,
        "restart-on-exit-codes": ",".join(map(str, RESTARTING)),
        "termination-grace-period-seconds": restarts.grace_period_seconds,
        "ttl-seconds-after-finished": lifetime,
        "command": _command(job, slice_),
    }
    words = [f"--{name}={value}" for name, value in options.items() if value is not None]
    return ["xpk", "workload", "create", *words, *_capacity(job)]


def start_script(job: DiffusionJob, slice_: Slice) -> str:
    """Return the script that starts the worker in a pod of xpk's."""
    values = {**accelerator_variables(job, slice_), **job.spec.environment}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    if slice_.hosts * job.spec.num_slices > 1:
        name = job.metadata.name
        lines += [
            f"export {place.COORDINATOR}={name}-{GROUP}-0-0.{name}:{COORDINATOR_PORT}",
            f"export {place.NUM_SLICES}={job.spec.num_slices} {place.HOSTS_PER_SLICE}={slice_.hosts}",
            f"export {place.SLICE_INDEX}=${{MEGASCALE_SLICE_ID:-0}} {place.HOST_INDEX}=$JOB_COMPLETION_INDEX",
        ]
    encoded = base64.b64encode(resolved_yaml(job).encode()).decode()
    return "\n".join([*lines, f"echo {encoded} | base64 -d > {SPEC}", f"exec python -m mdctl.runtime {SPEC}", ""])


def _command(job: DiffusionJob, slice_: Slice) -> str:
    script = base64.b64encode(start_script(job, slice_).encode()).decode()
    command = f"echo {script} | base64 -d > {SCRIPT} && exec sh {SCRIPT}"
    if len(command) > MAX_COMMAND:
        raise SpecError(
            f"the spec of {job.metadata.name} is too long for a command line ({len(command)} characters, at most "
            f"{MAX_COMMAND}); put prompts into sampling.promptsFile"
        )
    return command


def _hardware(job: DiffusionJob, slice_: Slice) -> dict[str, object]:
    name = xpk_type(slice_)
    if slice_.kind == "gpu":
        return {"device-type": name, "num-nodes": job.spec.num_slices * slice_.hosts}
    return {"tpu-type": name, "num-slices": job.spec.num_slices}


def _capacity(job: DiffusionJob) -> list[str]:
    capacity = job.spec.capacity
    match capacity.type:
        case "spot":
            return ["--spot"]
        case "flex-start":
            return ["--flex"]
        case "reservation":
            return [f"--reservation={capacity.reservation}"]
        case _:
            return []


def _problems(job: DiffusionJob, slice_: Slice) -> list[str]:
    """Return what of a job xpk has no words for."""
    spec, queue = job.spec, job.spec.queue
    found = []
    if xpk_type(slice_) is None:
        found.append(
            f"slice is {slice_.name} ({slice_.hosts} x {slice_.chips_per_host} chips), which xpk does not know"
        )
    if slice_.kind == "gpu" and slice_.hosts * spec.num_slices > 1:
        found.append("xpk joins GPU machines in its own way, which our worker does not know")
    if spec.fans_out:
        found.append(f"numSlices is {spec.num_slices}, each a program alone; xpk has one program over all slices")
    if queue.name not in (None, QUEUE):
        found.append(f"queue.name is {queue.name!r}; xpk uses {QUEUE}")
    given = {
        "secrets": spec.secrets,
        "serviceAccount": spec.service_account,
        "resources.cpu": spec.resources.cpu,
        "resources.memory": spec.resources.memory,
        "resources.sharedMemory": spec.resources.shared_memory,
        "queue.topology": queue.topology,
        "restarts.maxHours": spec.restarts.max_hours,
    }
    found += [f"{field} is set, for which xpk has no option" for field, value in given.items() if value]
    if len(spec.image_pull_secrets) > 1:
        found.append(f"imagePullSecrets has {len(spec.image_pull_secrets)}; xpk takes one")
    return found

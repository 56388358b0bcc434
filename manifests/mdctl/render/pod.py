"""The pod of one host: one container that runs the worker, and what it needs around it.

It passes the restricted Pod Security profile unless GPUs of several machines must reach host paths to talk: no root, no
privileges, no host network. It names no ServiceAccount, PriorityClass or Secret that the user did not name.
"""

from typing import Any

from mdctl.render.environment import worker_environment
from mdctl.render.gpu_network import NO_NETWORK, GpuNetwork, gpu_network
from mdctl.render.placement import node_selector, pod_annotations, tolerations
from mdctl.spec.job import DiffusionJob, JobSpec
from mdctl.spec.names import CONTAINER, SHARED_MEMORY, SPEC_ANNOTATION, SPEC_FOLDER
from mdctl.spec.slices import Slice
from mdctl.spec.yaml_text import dump

Object = dict[str, Any]

USER = 65532
"""The user of our images; any image runs as this one."""

SPEC_FILE = "job.yaml"


def pod_template(job: DiffusionJob, slice_: Slice, labels: dict[str, str]) -> Object:
    """Return the template of every pod of the job."""
    spec = job.spec
    network = gpu_network(slice_) if slice_.kind == "gpu" and slice_.hosts * spec.slices_per_program > 1 else NO_NETWORK
    annotations = {**pod_annotations(spec, slice_), **network.annotations, SPEC_ANNOTATION: resolved_yaml(job)}
    body = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": spec.restarts.grace_period_seconds,
        "serviceAccountName": spec.service_account,
        "automountServiceAccountToken": False,  # the worker never calls the API server
        "enableServiceLinks": False,
        "priorityClassName": spec.queue.pod_priority,
        "imagePullSecrets": [{"name": name} for name in spec.image_pull_secrets],
        "nodeSelector": node_selector(spec, slice_),
        "tolerations": tolerations(spec, slice_),
        "securityContext": _pod_security(network),
        "initContainers": list(network.sidecars),
        "containers": [_worker(job, slice_, network)],
        "volumes": _volumes(spec, network),
    }
    return {
        "metadata": {"labels": labels, "annotations": annotations},
        "spec": {key: value for key, value in body.items() if value is not None and value != []},
    }


def resolved_yaml(job: DiffusionJob) -> str:
    """Return the whole spec, defaults written out: a worker of another version cannot read another one into it."""
    return dump(job.model_dump(mode="json", by_alias=True))


def _worker(job: DiffusionJob, slice_: Slice, network: GpuNetwork) -> Object:
    return {
        "name": CONTAINER,
        "image": job.spec.image,
        "command": ["python", "-m", "mdctl.runtime", f"{SPEC_FOLDER}/{SPEC_FILE}"],
        "env": worker_environment(job, slice_, network.environment),
        "resources": _resources(job.spec, slice_),
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "spec", "mountPath": SPEC_FOLDER, "readOnly": True},
            {"name": "shared-memory", "mountPath": SHARED_MEMORY},
            *(
                {"name": f"secret-{index}", "mountPath": secret.mount_path, "readOnly": True}
                for index, secret in enumerate(job.spec.secrets)
                if secret.mount_path is not None
            ),
            *network.mounts,
        ],
    }


def _resources(spec: JobSpec, slice_: Slice) -> Object:
    """Return what the worker asks for: cpu and memory only where the spec does, or a queue may refuse them."""
    assert slice_.resource is not None
    accelerators = {slice_.resource: str(slice_.chips_per_host)}
    others = {"cpu": spec.resources.cpu, "memory": spec.resources.memory}
    asked = {name: quantity for name, quantity in others.items() if quantity is not None}
    return {"requests": {**asked, **accelerators}, "limits": accelerators}


def _volumes(spec: JobSpec, network: GpuNetwork) -> list[Object]:
    memory = {"medium": "Memory"}
    if spec.resources.shared_memory is not None:
        memory["sizeLimit"] = spec.resources.shared_memory
    annotation = {"fieldRef": {"fieldPath": f"metadata.annotations['{SPEC_ANNOTATION}']"}, "path": SPEC_FILE}
    return [
        {"name": "spec", "downwardAPI": {"items": [annotation]}},
        {"name": "shared-memory", "emptyDir": memory},
        *(
            {"name": f"secret-{index}", "secret": {"secretName": secret.name}}
            for index, secret in enumerate(spec.secrets)
            if secret.mount_path is not None
        ),
        *network.volumes,
    ]


def _pod_security(network: GpuNetwork) -> Object:
    profile = {"seccompProfile": {"type": "RuntimeDefault"}}
    if network.as_root:
        return {"runAsUser": 0, **profile}
    return {"runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, **profile}

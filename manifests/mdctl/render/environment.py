"""Environment variables of the worker: its place among its peers, its accelerator, its network, then the user's.

The indices come from the downward API, so one pod template serves all hosts; a host that is alone has none. The user's
variables come last and win; those that begin with MDCTL_ are refused before. Values are literal: `$` is doubled, or
Kubernetes would expand $(NAME).
"""

from collections.abc import Mapping
from typing import Any

from mdctl.spec import environment as place
from mdctl.spec.job import DiffusionJob
from mdctl.spec.libtpu import libtpu_flags
from mdctl.spec.names import coordinator_address
from mdctl.spec.slices import Slice

Object = dict[str, Any]

PLATFORMS = {"tpu": "tpu,cpu", "gpu": "cuda,cpu"}
"""JAX_PLATFORMS: with the accelerator named, a worker that does not find it fails instead of training on the CPU."""


def worker_environment(job: DiffusionJob, slice_: Slice, network: Mapping[str, str]) -> list[Object]:
    """Return `env` of the worker; `network` are the variables of the GPU network."""
    values = {**accelerator_variables(job, slice_), **network, **job.spec.environment}
    return [
        *_place(job, slice_),
        *({"name": name, "value": value.replace("$", "$$")} for name, value in values.items()),
        *(
            {"name": secret.env, "valueFrom": {"secretKeyRef": {"name": secret.name, "key": secret.key}}}
            for secret in job.spec.secrets
            if secret.env is not None
        ),
    ]


def accelerator_variables(job: DiffusionJob, slice_: Slice) -> dict[str, str]:
    """Return what the worker is told of its accelerator, whoever starts it."""
    home = {"HOME": "/tmp", "JAX_PLATFORMS": PLATFORMS[slice_.kind]}  # the pod's user has no home of its own
    if slice_.kind == "gpu":
        fused = {"NVTE_FUSED_ATTN": "1"} if job.spec.attention.kernel == "cudnn_flash_te" else {}
        return {**home, **fused, "LD_LIBRARY_PATH": "/usr/local/nvidia/lib64"}  # where GKE mounts the driver
    return {**home, "LIBTPU_INIT_ARGS": libtpu_flags(slice_.generation, job.spec.task)}


def _place(job: DiffusionJob, slice_: Slice) -> list[Object]:
    attempt = [
        _label(place.RUN, "jobset.sigs.k8s.io/jobset-uid"),
        _label(place.RESTART, "jobset.sigs.k8s.io/restart-attempt"),
    ]
    if job.spec.fans_out:
        return [
            _label(place.SHARD, "batch.kubernetes.io/job-completion-index"),
            {"name": place.SHARDS, "value": str(job.spec.num_shards)},
            *attempt,
        ]
    if slice_.hosts * job.spec.num_slices == 1:
        return attempt
    return [
        {"name": place.COORDINATOR, "value": coordinator_address(job.metadata.name)},
        {"name": place.NUM_SLICES, "value": str(job.spec.num_slices)},
        {"name": place.HOSTS_PER_SLICE, "value": str(slice_.hosts)},
        _label(place.SLICE_INDEX, "jobset.sigs.k8s.io/job-index"),
        _label(place.HOST_INDEX, "batch.kubernetes.io/job-completion-index"),
        *attempt,
    ]


def _label(name: str, label: str) -> Object:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{label}']"}}}

"""The one object that a job is on a cluster: a JobSet whose replicated job has one replica for each slice.

    JobSet <job>
    └── Job <job>-slice-<s>, one for each slice: as many pods as the slice has hosts, all at once or none
        └── Pod <job>-slice-<s>-<h>, one for each host: the worker, and the resolved spec as a file

A job that fans out has no program that spans slices, so nothing must start, fail or restart together:

    JobSet <job>
    └── Job <job>-slice-0: as many indexes as there are slices, each retried by itself
        └── Pod <job>-slice-0-<s>, one for each slice

The spec travels in an annotation of the pods, so there is no ConfigMap to own, to collide or to outlive the job.
"""

from typing import Any

from mdctl.render import fan_out
from mdctl.render.failure_policy import job_failure_policy, jobset_failure_policy
from mdctl.render.image import with_image
from mdctl.render.placement import jobset_annotations
from mdctl.render.pod import pod_template
from mdctl.spec.errors import SpecError
from mdctl.spec.job import DiffusionJob
from mdctl.spec.names import (
    GROUP,
    MANAGED_BY_LABEL,
    SLICE_ANNOTATION,
    SPEC_HASH_ANNOTATION,
    TASK_LABEL,
    check_name,
)
from mdctl.spec.reading import spec_hash
from mdctl.spec.slices import Slice

Object = dict[str, Any]


def render_jobset(job: DiffusionJob) -> Object:
    """Return the JobSet of a job.

    Raises:
        SpecError: the job fits no cluster: its slice is local, its name too long, a variable is not the user's to set.
    """
    slice_ = job.spec.resolved_slice
    _refuse_what_fits_no_cluster(job, slice_)
    check_name(job.metadata.name, job.spec.slices_per_program, slice_.hosts * job.spec.num_shards)
    job = with_image(job)
    spec: Object = {
        **(fan_out.jobset_fields() if job.spec.fans_out else _jobset_fields(job)),
        "replicatedJobs": [
            {"name": GROUP, "replicas": job.spec.slices_per_program, "template": _job_template(job, slice_)}
        ],
    }
    if job.spec.restarts.ttl_seconds_after_finished is not None:
        spec["ttlSecondsAfterFinished"] = job.spec.restarts.ttl_seconds_after_finished
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": _metadata(job, slice_),
        "spec": spec,
    }


def _jobset_fields(job: DiffusionJob) -> Object:
    """Return what the JobSet says of its Jobs: they find each other by name, and restart together."""
    return {
        "network": {
            "enableDNSHostnames": True,
            "publishNotReadyAddresses": True,
            "subdomain": job.metadata.name,
        },
        "failurePolicy": jobset_failure_policy(job.spec.restarts.max, deadline=_deadline(job) is not None),
    }


def _metadata(job: DiffusionJob, slice_: Slice) -> Object:
    queue = job.spec.queue
    labels = _labels(job)
    if queue.name is not None:
        labels["kueue.x-k8s.io/queue-name"] = queue.name
    if queue.priority is not None:
        labels["kueue.x-k8s.io/priority-class"] = queue.priority
    if queue.name is not None and job.spec.restarts.max_seconds is not None:
        labels["kueue.x-k8s.io/max-exec-time-seconds"] = str(job.spec.restarts.max_seconds)
    annotations = {
        SLICE_ANNOTATION: slice_.name,
        SPEC_HASH_ANNOTATION: spec_hash(job),
        **jobset_annotations(job.spec, slice_),
    }
    namespace = {} if job.metadata.namespace is None else {"namespace": job.metadata.namespace}
    return {"name": job.metadata.name, **namespace, "labels": labels, "annotations": annotations}


def _labels(job: DiffusionJob) -> dict[str, str]:
    ours = {MANAGED_BY_LABEL: "mdctl", TASK_LABEL: job.spec.task}
    return ours | job.metadata.labels | ours


def _job_template(job: DiffusionJob, slice_: Slice) -> Object:
    pods = slice_.hosts * job.spec.num_shards
    deadline = _deadline(job)
    return {
        "spec": {
            **({} if deadline is None else {"activeDeadlineSeconds": deadline}),
            "completionMode": "Indexed",
            "completions": pods,
            "parallelism": pods,
            **(fan_out.job_fields(job.spec.restarts.max) if job.spec.fans_out else _job_fields(job)),
            "template": pod_template(job, slice_, _labels(job)),
        }
    }


def _job_fields(job: DiffusionJob) -> Object:
    """Return what a Job says of failures: the first pod's is its own."""
    return {"backoffLimit": 0, "podFailurePolicy": job_failure_policy(durable=_is_durable(job))}


def _deadline(job: DiffusionJob) -> int | None:
    """Return the seconds that an attempt may take; in a queue Kueue counts those of all attempts instead."""
    return job.spec.restarts.max_seconds if job.spec.queue.name is None else None


def _is_durable(job: DiffusionJob) -> bool:
    """Say whether what an attempt wrote is there for the next one."""
    checkpoints = job.spec.training.checkpoint.directory if job.spec.task == "train" else None
    return (checkpoints or job.spec.output_dir or "").startswith("gs://")


def _refuse_what_fits_no_cluster(job: DiffusionJob, slice_: Slice) -> None:
    if slice_.kind == "cpu":
        raise SpecError(
            f"slice {slice_.name} is this computer, which no cluster has; run it with --local, "
            "or name an accelerator such as v5p-64 or h100-8 (see `mdctl slices`)"
        )
    if slice_.kind == "tpu" and slice_.hosts == 1 and job.spec.slices_per_program > 1:
        raise SpecError(
            f"numSlices is {job.spec.num_slices}, but slice {slice_.name} has one host and GKE joins multi-host slices "
            "only; use one larger slice, or numSlices 1"
        )
    ours = sorted(name for name in job.spec.environment if name.startswith("MDCTL_"))
    if ours:
        raise SpecError(
            f"environment.{ours[0]} is set by mdctl itself; names that start with MDCTL_ are not yours to set"
        )

"""Jobs on clusters that xpk made: what such a cluster has, and what it calls our slices.

    LocalQueue          multislice-queue, in the namespace default; of accelerators only, unless it was made with limits
    PriorityClasses     very-low to very-high, of pods; it has no WorkloadPriorityClasses
    label               xpk.google.com/workload: the name that `xpk workload` knows a job by
    JobSet 0.10.1       and Kueue 0.17.1: what is rendered has nothing newer

xpk's names of slices mean the multi-host machine type: its v6e-8 is two hosts of four chips, ours one of eight.
"""

from typing import Any

from mdctl.spec.errors import SliceError, SpecError
from mdctl.spec.job import DiffusionJob
from mdctl.spec.slices import Slice, resolve_slice

QUEUE = "multislice-queue"
NAMESPACE = "default"
PRIORITIES = ("very-low", "low", "medium", "high", "very-high")
PRIORITY = "medium"
LABEL = "xpk.google.com/workload"

MAX_NAME = 40
"""Characters of a name that xpk takes."""

GENERATIONS = {"v5e": "v5litepod"}
"""TPU generations that xpk calls something else."""
LONGEST = 256
"""The longest side of a topology that xpk lists."""
GPUS = {"a3-high": "h100-80gb-8", "a3-mega": "h100-mega-80gb-8", "a3-ultra": "h200-141gb-8", "a4": "b200-8"}
"""What xpk calls a GPU machine, by its family."""


def preset(name: str, slice_name: str | None) -> dict[str, Any]:
    """Return what a job of that name says on such a cluster unless it says otherwise."""
    spec: dict[str, Any] = {"queue": {"name": QUEUE, "podPriority": PRIORITY}}
    if (policy := _policy(slice_name)) is not None:
        spec["capacity"] = {"placementPolicy": policy}
    return {"metadata": {"namespace": NAMESPACE, "labels": {LABEL: name}}, "spec": spec}


def check(job: DiffusionJob) -> None:
    """Refuse a job that no cluster made by xpk would run.

    Raises:
        SpecError: lists every reason.
    """
    queue, problems = job.spec.queue, []
    if queue.priority is not None:
        problems.append(
            f"queue.priority is {queue.priority!r}, and the cluster has no WorkloadPriorityClasses; set "
            f"queue.podPriority instead, to one of {', '.join(PRIORITIES)}"
        )
    if queue.pod_priority not in (None, *PRIORITIES):
        problems.append(f"queue.podPriority is {queue.pod_priority!r}; the cluster has {', '.join(PRIORITIES)}")
    if len(job.metadata.name) > MAX_NAME:
        problems.append(f"metadata.name has {len(job.metadata.name)} characters; xpk takes {MAX_NAME}")
    if problems:
        raise SpecError("\n".join(["--preset xpk:", *(f"  {each}" for each in problems)]))


def advice(job: DiffusionJob) -> list[str]:
    """Return a sentence for each thing that such a cluster refuses unless it was made for it."""
    asked = {"cpu": job.spec.resources.cpu, "memory": job.spec.resources.memory}
    return [
        f"resources.{name} is {amount!r}: xpk's queues cover accelerators only, unless the cluster was made with limits"
        for name, amount in asked.items()
        if amount is not None
    ]


def xpk_type(slice_: Slice) -> str | None:
    """Return what xpk calls a slice, of GPUs one machine of it; None where it has none such."""
    if slice_.kind == "gpu":
        return GPUS.get(slice_.generation)
    if slice_.topology is None or slice_.chips_per_host not in (1, 4) or _is_single_v5e(slice_):
        return None
    if max(slice_.topology) > LONGEST:
        return None
    return f"{GENERATIONS.get(slice_.generation, slice_.generation)}-{slice_.topology_label}"


def _is_single_v5e(slice_: Slice) -> bool:
    return slice_.generation == "v5e" and slice_.hosts == 1


def _policy(slice_name: str | None) -> str | None:
    """Return the workload policy that xpk makes node pools of a slice with: multi-host tpu7x ones have one."""
    try:
        slice_ = resolve_slice(slice_name or "")
    except SliceError:
        return None  # said when the job is read
    if slice_.generation != "tpu7x" or slice_.hosts == 1:
        return None
    return f"tpu7x-{slice_.cores}-{slice_.topology_label}-placement-policy"

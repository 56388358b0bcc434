"""The first Job and the first Pod of a JobSet, as its controllers will make them.

A dry run of a JobSet does not look into its templates; a dry run of what is cut from it does.
"""

import copy
from typing import Any

Object = dict[str, Any]


def cut_job(jobset: Object) -> Object:
    """Return the Job of the first slice."""
    metadata, group = jobset["metadata"], jobset["spec"]["replicatedJobs"][0]
    return copy.deepcopy(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {**_kept(metadata), "name": f"{metadata['name']}-{group['name']}-0"},
            "spec": group["template"]["spec"],
        }
    )


def cut_pod(jobset: Object) -> Object:
    """Return the Pod of the first host."""
    job = cut_job(jobset)
    template = job["spec"]["template"]
    metadata = {**_kept(job["metadata"]), **template["metadata"], "name": f"{job['metadata']['name']}-0"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def _kept(metadata: Object) -> Object:
    """Return what a child's metadata has of its parent's: the namespace, so that it lands beside it."""
    return {key: metadata[key] for key in ("namespace",) if key in metadata}

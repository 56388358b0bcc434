"""After a job is deleted, and after its time is over, nothing that a cluster made for it is left."""

import pytest

from mdctl.cluster.client import connect
from mdctl.cluster.control import remove
from mdctl.render.jobset import render_jobset
from tests.render.golden import recipe_job

UNCOUNTED = {"events", "leases"}
"""Which tell of objects, and outlive them."""


def jobset(namespace, name, slice_, *overrides):
    places = ("output_dir=gs://my-bucket/trial", "data.path=gs://my-bucket/clips")
    words = (f"run_name={name}", f"slice={slice_}", "queue.name=accelerators")
    rendered = render_jobset(recipe_job("train-wan", *words, *places, *overrides))
    rendered["metadata"]["namespace"] = namespace
    return rendered


def everything(api, namespace):
    """Return every object of a namespace, whatever its kind."""
    groups = [f"apis/{group['preferredVersion']['groupVersion']}" for group in api.request("GET", "apis")["groups"]]
    found = set()
    for root in ("api/v1", *groups):
        for kind in api.request("GET", root)["resources"]:
            if kind["namespaced"] and "list" in kind["verbs"] and kind["name"] not in UNCOUNTED:
                items = api.request("GET", f"{root}/namespaces/{namespace}/{kind['name']}")["items"]
                found |= {f"{kind['name']}/{each['metadata']['name']}" for each in items}
    return found


def until_nothing_is_left(api, namespace, name, there_before):
    """Wait until a job is gone, and then for what is removed after it."""
    api.until_gone("JobSet", namespace, fieldSelector=f"metadata.name={name}")
    for kind in ("Job", "Pod", "Service", "Workload", "Endpoints"):
        api.until(lambda found: not any(name in each["metadata"]["name"] for each in found), kind, namespace)
    assert {each for each in everything(api, namespace) if name in each} - there_before == set()


@pytest.mark.nodes("tpu7x", "v5e-8")
def test_nothing_is_left_of_a_job(plane, namespace):
    before = everything(plane.api, namespace)
    plane.api.create(jobset(namespace, "deleted", "tpu7x-16"))
    plane.api.create(jobset(namespace, "done", "v5e-8", "restarts.ttl_seconds_after_finished=1"))
    plane.pods.running(namespace, "deleted", 2)
    plane.pods.running(namespace, "done", 1)
    made = {each.partition("/")[0] for each in everything(plane.api, namespace) - before}
    assert {"jobsets", "jobs", "pods", "services", "workloads"} <= made
    plane.pods.finish_all(namespace, "done")
    cluster = connect(kubeconfig=str(plane.kubeconfig), namespace=namespace)
    remove(cluster, plane.api.get("JobSet", "deleted", namespace), print)
    for name in ("deleted", "done"):
        until_nothing_is_left(plane.api, namespace, name, before)
    assert everything(plane.api, namespace) == before

"""A job that nobody runs: what the server says to it, it says to all."""

from typing import Any

from mdctl.render.jobset import render_jobset
from mdctl.spec.merging import merge
from mdctl.spec.reading import parse_job
from mdctl.spec.recipes import find_recipe

NAME = "mdctl-doctor"


def sample(namespace: str) -> dict[str, Any]:
    """Return the JobSet of a job of one host, in no queue."""
    spec = {"slice": "v6e-8", "image": "mdctl:doctor", "outputDir": "gs://bucket/doctor"}
    job = merge(find_recipe("train-wan").job(), {"metadata": {"name": NAME, "namespace": namespace}, "spec": spec})
    return render_jobset(parse_job(job, where="the doctor's sample"))

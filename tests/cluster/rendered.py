"""A recipe's job as the JobSet that is created of it, in a test's namespace."""

from mdctl.render.jobset import render_jobset
from tests.render.golden import DATA, recipe_job

JOB = "trial"


def rendered(namespace, *overrides, labels=None):
    """Return train-wan's JobSet: called trial, in no queue, on a slice that has no nodes, unless overrides differ."""
    job = recipe_job("train-wan", f"run_name={JOB}", "slice=v4-8", *DATA, *overrides)
    job.metadata.labels.update(labels or {})
    jobset = render_jobset(job)
    jobset["metadata"]["namespace"] = namespace
    return jobset


def template(jobset):
    """Return the spec of a JobSet's pods."""
    return jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]

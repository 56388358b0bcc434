"""A job for TPUs, on a machine that has none."""

import os
import sys

import pytest

REHEARSAL = {"slice": "v6e-4", "environment": {"JAX_PLATFORMS": "cpu"}}


def test_a_spec_that_says_so_rehearses_on_as_many_cpu_devices_as_its_slice_has(tmp_path, write_job, start):
    worker = start("-m", "mdctl.runtime", write_job(tmp_path, tmp_path / "out", **REHEARSAL, training={"steps": 2}))
    worker.expect("(4 devices)")
    assert worker.end() == 0, "".join(worker.said)


def test_a_host_that_was_to_have_tpus_does_not_go_on_without(tmp_path, write_job, start):
    worker = start("-m", "mdctl.runtime", write_job(tmp_path, tmp_path / "out", slice="v6e-4"))
    worker.expect(
        "slice v6e-4 has tpu devices, but JAX finds cpu ones here",
        "or rehearse with environment.JAX_PLATFORMS=cpu",
    )
    assert worker.end() == 2


def test_hosts_that_compute_on_cpus_each_compile_as_none_but_the_first_would_find_what_was_kept(
    tmp_path, write_job, start_hosts
):
    kept = tmp_path / "compiled"
    job = write_job(tmp_path, tmp_path / "out", slice="cpu-2x1", compilationCacheDir=str(kept), training={"steps": 1})
    assert [host.end() for host in start_hosts(job, job)] == [0, 0]
    assert not kept.exists()


COUNT = """
import sys
from pathlib import Path

import jax

from mdctl.runtime.devices import configure
from mdctl.spec.reading import read_job

configure(read_job(Path(sys.argv[1])).spec)
jax.devices()
names = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
print("threads:", names.count("tf_XLAEigen"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads have names under /proc on Linux")
@pytest.mark.parametrize(
    ("slice_", "threads"), [("v6e-4", max(4, os.cpu_count() or 1)), ("v5p-16", 32)], ids=["one host", "two hosts"]
)
def test_hosts_that_wait_for_each_other_have_threads_to_spare(tmp_path, write_job, start, slice_, threads):
    job = write_job(tmp_path, tmp_path / "out", **{**REHEARSAL, "slice": slice_, "batch": {"globalSize": 8}})
    worker = start("-c", COUNT, job)
    worker.expect(f"threads: {threads}\n")

"""Weights loaded and saved by two processes, each of which holds half of the devices."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np

from mdctl.storage.tensors import open_tensors
from tests.parity.arrays import DATA

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_what_two_processes_load_they_save(tmp_path: Path) -> None:
    source, target = DATA / "wan_transformer_single", tmp_path / "saved"
    command = [sys.executable, "-m", "tests.models.reload_over_hosts", f"127.0.0.1:{free_port()}"]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    processes = [
        subprocess.Popen([*command, str(process), str(source), str(target)], cwd=ROOT, env=environment)
        for process in range(2)
    ]
    try:
        assert [process.wait(timeout=300) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    before, after = open_tensors(source), open_tensors(target)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name][()], after[name][()]) for name in before)

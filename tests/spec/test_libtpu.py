import os
import subprocess
from pathlib import Path

import pytest

from mdctl.spec.accelerators import TPUS
from mdctl.spec.libtpu import libtpu_flags

PYTHON = Path(__file__).parents[2] / ".venv-tpu/bin/python"
TOPOLOGIES = {"v4": "v4:2x2x2", "v5e": "v5e:4x4", "v5p": "v5p:2x2x2", "v6e": "v6e:4x4", "tpu7x": "tpu7x:2x2x2"}

FSDP_STEP = """
import sys, jax, jax.numpy as jnp, numpy as np
from jax.experimental import topologies
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec as P

devices = topologies.get_topology_desc(sys.argv[1], "tpu").devices
mesh = Mesh(np.array(devices), ("x",), axis_types=(AxisType.Auto,))
sharded, whole = NamedSharding(mesh, P(None, "x")), NamedSharding(mesh, P())

def layer(x, w):
    return jnp.tanh(x @ jax.lax.with_sharding_constraint(w, whole)), None

def loss(ws, x):
    return (jax.lax.scan(jax.checkpoint(layer), x, ws)[0].astype(jnp.float32) ** 2).sum()

ws = jax.ShapeDtypeStruct((4, 1024, 1024), jnp.bfloat16, sharding=sharded)
x = jax.ShapeDtypeStruct((64 * len(devices), 1024), jnp.bfloat16, sharding=NamedSharding(mesh, P("x")))
jax.jit(jax.grad(loss), out_shardings=sharded).lower(ws, x).compile()
"""


def compiled(generation, flags):
    """Compile a small step with gathered weights and reduced gradients; return the process."""
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_WORKER_HOSTNAMES": "localhost",
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
        "LIBTPU_INIT_ARGS": flags,
    }
    command = [PYTHON, "-c", FSDP_STEP, TOPOLOGIES[generation]]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_every_generation_and_task_has_its_line():
    lines = {(tpu.name, task): libtpu_flags(tpu.name, task) for tpu in TPUS for task in ("train", "generate")}
    for line in lines.values():
        flags = line.split(" ")
        assert all(flag.startswith("--xla") and "=" in flag for flag in flags)
        assert len({flag.partition("=")[0] for flag in flags}) == len(flags)


@pytest.mark.heavy
@pytest.mark.skipif(not PYTHON.exists(), reason="`make fit` sets up .venv-tpu, which has libtpu")
@pytest.mark.parametrize("tpu", TPUS, ids=lambda tpu: tpu.name)
def test_libtpu_takes_the_line_of_its_chip(tpu):
    done = compiled(tpu.name, libtpu_flags(tpu.name, "train"))
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.heavy
@pytest.mark.skipif(not PYTHON.exists(), reason="`make fit` sets up .venv-tpu, which has libtpu")
@pytest.mark.parametrize(
    ("generation", "flags"), [("v5p", "--xla_no_such_flag=true"), ("v5p", libtpu_flags("v5e", "train"))]
)
def test_libtpu_does_refuse_lines(generation, flags):
    assert compiled(generation, flags).returncode != 0

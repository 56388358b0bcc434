"""How much memory the host needs to load weights, measured in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from flax import nnx

from mdctl.models.wan.config import WanConfig
from mdctl.models.wan.modeling import WanTransformer
from mdctl.models.wan.weights import TABLE
from mdctl.models.weights import published_shapes
from mdctl.parallel.execution import Execution
from mdctl.storage.tensors import Spec, write_tensors

GIB = 2**30
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transformer of more than a GiB in several files."""
    cfg = WanConfig(num_attention_heads=8, ffn_dim=4096, num_layers=16, text_dim=1024)
    params = nnx.state(nnx.eval_shape(lambda: WanTransformer(cfg, execution=Execution.plain(), rngs=nnx.Rngs(0))))
    specs = {name: Spec(shape, np.dtype(np.float32)) for name, shape in published_shapes(TABLE, params).items()}
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("repository") / "transformer"

    def draw(name: str) -> np.ndarray:
        return rng.standard_normal(specs[name].shape, np.float32)

    write_tensors(folder, specs, draw, config=cfg.to_published(), max_file_bytes=GIB // 4)
    assert sum(path.stat().st_size for path in folder.iterdir()) > GIB
    return folder


@pytest.mark.heavy
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("num_devices", [1, 8])
def test_the_host_needs_two_layers_beside_what_is_placed(repository: Path, num_devices: int, dtype: str) -> None:
    command = [sys.executable, "-m", "tests.models.measure_loading", str(repository), dtype]
    flags = f"--xla_force_host_platform_device_count={num_devices}"
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout)
    assert seen["growth"] <= seen["placed"] + 2 * seen["layer"], seen

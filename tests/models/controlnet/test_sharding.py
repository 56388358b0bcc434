"""Over a mesh the ControlNet says what it says on one device, loss and gradients."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdctl.models.controlnet.config import ControlNetConfig
from mdctl.models.controlnet.modeling import ControlNet
from mdctl.models.controlnet.sharding import LAYOUT
from mdctl.models.unet.config import UNetConfig
from mdctl.models.unet.modeling import Added
from mdctl.parallel.choice import make_execution
from mdctl.parallel.execution import Execution
from mdctl.parallel.mesh import make_mesh
from mdctl.parallel.rules import activation_sharding, parameter_shardings
from mdctl.spec.model import AttentionSpec
from tests.parallel.layouts import make_layout, name
from tests.parity.tolerances import GRADIENT

UNET = UNetConfig(
    block_out_channels=(8, 16),
    cross_attention=(False, True),
    layers_per_block=1,
    transformer_layers_per_block=(1, 1),
    num_heads=(2, 4),
    cross_attention_dim=12,
    norm_num_groups=4,
    use_linear_projection=True,
    addition_time_embed_dim=4,
    projection_class_embeddings_input_dim=32,
)
CONFIG = ControlNetConfig(unet=UNET, conditioning_embedding_out_channels=(4, 8))
BATCH = 8
FLASH = AttentionSpec(kernel="flash", flash_min_seq_length=0)
QUICKLY = {"xla_backend_optimization_level": "0"}
SHAPES = [{"fsdp": 2, "context": 2, "tensor": 2}]


def inputs() -> tuple[Any, ...]:
    """Draw latents of 5 x 6, which is 9 tokens below, a condition of twice that, and the rest."""
    rng = np.random.default_rng(0)
    x, text, pooled = (jnp.asarray(rng.normal(size=(BATCH, *size)), jnp.float32) for size in ((5, 6, 4), (5, 12), (8,)))
    sizes = jnp.asarray(rng.integers(0, 1025, (BATCH, 6)), jnp.float32)
    condition = jnp.asarray(rng.uniform(size=(BATCH, 10, 12, 3)), jnp.float32)
    return condition, x, jnp.linspace(10.0, 900.0, BATCH), text, Added(pooled, sizes)


def run(execution: Execution, shape: Mapping[str, int] | None = None) -> tuple[Any, Any]:
    """Return the mean square of all that it says, and gradients by parameters, condition and latents."""
    graphdef, abstract = nnx.split(nnx.eval_shape(lambda: ControlNet(CONFIG, execution=execution, rngs=nnx.Rngs(0))))
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda leaf: jnp.asarray(0.2 * rng.normal(size=leaf.shape), jnp.float32), abstract)

    def loss(params: Any, condition: Any, x: Any, time: Any, text: Any, added: Added) -> Any:
        said = nnx.merge(graphdef, params)(x, time, text, condition, added)
        return sum(jnp.mean(jnp.square(image)) for image in jax.tree.leaves(said))

    arguments = (params, *inputs())
    if shape is not None:
        mesh = make_mesh(make_layout(shape))
        batch = activation_sharding(mesh, "batch")
        arguments = jax.device_put(arguments, (parameter_shardings(mesh, params, LAYOUT), *(batch,) * 5))
    step = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2))).lower(*arguments).compile(compiler_options=QUICKLY)
    value, gradients = step(*arguments)
    return value, gradients


@pytest.fixture(scope="module")
def alone() -> tuple[Any, Any]:
    return run(Execution.plain())


@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_sharded_equals_unsharded(shape: Mapping[str, int], alone: tuple[Any, Any]) -> None:
    execution = make_execution(make_mesh(make_layout(shape)), attention=FLASH, remat="full", dtype="float32")
    loss, gradients = run(execution, shape)
    assert abs(loss - alone[0]) <= 1e-6 * abs(alone[0])
    for (path, a), b in zip(jax.tree.leaves_with_path(gradients), jax.tree.leaves(alone[1]), strict=True):
        assert np.abs(np.asarray(a) - np.asarray(b)).max() <= GRADIENT * np.abs(b).max(), jax.tree_util.keystr(path)


@pytest.mark.parametrize("cfg", [ControlNetConfig.sd15(), ControlNetConfig.sdxl()], ids=["sd1.5", "sdxl"])
def test_next_to_nothing_is_whole_on_every_device(cfg: ControlNetConfig) -> None:
    mesh = make_mesh(make_layout({"fsdp": 4, "tensor": 2}))
    params = nnx.state(nnx.eval_shape(lambda: ControlNet(cfg, execution=Execution.plain(), rngs=nnx.Rngs(0))))
    shardings = parameter_shardings(mesh, params, LAYOUT)
    held = [
        np.prod(sharding.shard_shape(leaf.shape))
        for leaf, sharding in zip(jax.tree.leaves(params), jax.tree.leaves(shardings), strict=True)
    ]
    whole = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert sum(held) < 0.26 * whole

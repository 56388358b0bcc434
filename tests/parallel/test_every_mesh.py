"""A sharded model equals the model on one device, loss and gradients, for every way to cut eight devices."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdctl.models.wan.config import WanConfig
from mdctl.models.wan.family import make_denoiser
from mdctl.parallel.choice import make_execution
from mdctl.parallel.execution import Execution
from mdctl.parallel.mesh import make_mesh
from mdctl.parallel.remat import REMAT
from mdctl.parallel.rules import activation_sharding, parameter_shardings
from mdctl.spec.layout import AxisSizes, Layout
from mdctl.spec.model import AttentionSpec
from mdctl.spec.refused import REMAT as ACCEPTED
from tests.parallel.layouts import every_shape, make_layout, name
from tests.parity.tolerances import GRADIENT

CONFIG = WanConfig(
    num_attention_heads=8,
    attention_head_dim=6,
    in_channels=4,
    out_channels=4,
    text_dim=24,
    freq_dim=32,
    ffn_dim=64,
    num_layers=2,
)
BATCH = 8
GRID = (3, 6, 6)  # 27 tokens, which no number of shards divides
FLASH = AttentionSpec(kernel="flash", flash_min_seq_length=0)
QUICKLY = {"xla_backend_optimization_level": "0"}


class Result(NamedTuple):
    """A loss and its gradients by parameters, latents and text."""

    loss: Any
    gradients: Any


def inputs() -> tuple[Any, ...]:
    """Draw latents, times, text and target."""
    rng = np.random.default_rng(0)
    latents, target = (jnp.asarray(rng.normal(size=(BATCH, *GRID, 4)), jnp.float32) for _ in range(2))
    return latents, jnp.linspace(10.0, 900.0, BATCH), jnp.asarray(rng.normal(size=(BATCH, 5, 24)), jnp.float32), target


def parameters() -> Any:
    """Draw every parameter anew: what a model is created with is partly zero."""
    rng = np.random.default_rng(1)
    abstract = make_denoiser(CONFIG, Execution.plain()).abstract
    return jax.tree.map(lambda leaf: jnp.asarray(0.2 * rng.normal(size=leaf.shape), jnp.float32), abstract)


def run(execution: Execution, layout: Layout | None = None) -> Result:
    """Return loss and gradients, over the mesh of a layout."""
    denoiser, params = make_denoiser(CONFIG, execution), parameters()

    def loss(params: Any, latents: Any, text: Any, time: Any, target: Any) -> Any:
        return jnp.mean(jnp.square(denoiser.denoise(params, latents, time, {"text": text}) - target))

    latents, time, text, target = inputs()
    arguments = (params, latents, text, time, target)
    if layout is not None:
        mesh = make_mesh(layout)
        batch = activation_sharding(mesh, "batch")
        arguments = jax.device_put(arguments, (parameter_shardings(mesh, params, denoiser.layout), *(batch,) * 4))
    step = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2))).lower(*arguments).compile(compiler_options=QUICKLY)
    return Result(*step(*arguments))


def over_mesh(layout: Layout, *, attention: AttentionSpec = FLASH, remat: str = "full") -> Result:
    mesh = make_mesh(layout)
    return run(make_execution(mesh, attention=attention, remat=remat, dtype="float32"), layout)


def assert_same(got: Result, expected: Result) -> None:
    assert abs(got.loss - expected.loss) <= 1e-6 * abs(expected.loss)
    for (path, a), b in zip(jax.tree.leaves_with_path(got.gradients), jax.tree.leaves(expected.gradients), strict=True):
        assert np.abs(np.asarray(a) - np.asarray(b)).max() <= GRADIENT * np.abs(b).max(), jax.tree_util.keystr(path)


@pytest.fixture(scope="module")
def alone() -> Result:
    return run(Execution.plain())


@pytest.mark.parametrize("shape", every_shape(), ids=name)
def test_sharded_equals_unsharded(shape: Mapping[str, int], alone: Result) -> None:
    assert_same(over_mesh(make_layout(shape)), alone)


@pytest.mark.parametrize(
    ("inside", "across"),
    [
        ({"context": 2, "tensor": 2}, AxisSizes(data=2, fsdp=1, context=1, tensor=1)),
        ({"fsdp": 2, "surplus": 2}, AxisSizes(data=1, fsdp=2, context=1, tensor=1)),
        ({"fsdp": 4}, AxisSizes(data=1, fsdp=1, context=2, tensor=1)),
    ],
    ids=["data-across", "fsdp-across", "context-across"],
)
def test_two_slices_equal_one_device(inside: Mapping[str, int], across: AxisSizes, alone: Result) -> None:
    assert_same(over_mesh(make_layout(inside, across)), alone)


@pytest.mark.parametrize("remat", [remat for remat in REMAT if remat != "full"])
def test_what_is_kept_changes_no_result(remat: str, alone: Result) -> None:
    assert_same(over_mesh(make_layout({"fsdp": 2, "context": 2, "tensor": 2}), remat=remat), alone)


def test_kept_names_are_those_that_a_spec_accepts() -> None:
    assert tuple(REMAT) == ACCEPTED


def test_a_mesh_of_one_device(alone: Result) -> None:
    mesh = make_mesh(make_layout({}), jax.devices()[:1])
    assert_same(run(make_execution(mesh, attention=FLASH, remat="full", dtype="float32")), alone)


def test_dot_product_over_a_mesh(alone: Result) -> None:
    kernel = AttentionSpec(kernel="dot_product")
    assert_same(over_mesh(make_layout({"fsdp": 2, "context": 2, "tensor": 2}), attention=kernel), alone)


def test_padding_that_is_not_masked_shows(alone: Result) -> None:
    careless = AttentionSpec(kernel="flash", flash_min_seq_length=0, mask_padding_tokens=False)
    assert abs(over_mesh(make_layout({"context": 8}), attention=careless).loss - alone.loss) > 1e-4 * alone.loss

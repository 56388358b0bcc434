import jax
import jax.numpy as jnp
import pytest
from jax.sharding import Mesh, PartitionSpec

from mdctl.parallel.mesh import make_mesh
from mdctl.parallel.rules import (
    activation_sharding,
    constrain_over,
    parameter_sharding,
    parameter_shardings,
    path_name,
    replicated,
    shard_like,
)
from mdctl.spec.errors import SpecError
from tests.parallel.layouts import make_layout

LAYOUT = (("*.kernel", ("embed", "mlp")), ("*.bias", ("mlp",)))


@pytest.fixture(scope="module")
def mesh() -> Mesh:
    return make_mesh(make_layout({"fsdp": 2, "context": 2, "tensor": 2}))


def test_activations_are_cut_by_batch_tokens_and_heads(mesh: Mesh) -> None:
    spec = activation_sharding(mesh, "batch", "tokens", "heads", "head").spec
    assert spec == PartitionSpec(("data", "fsdp"), ("surplus", "context"), "tensor", None)


def test_constraint_holds_inside_a_program(mesh: Mesh) -> None:
    constrain = constrain_over(mesh)
    x = jax.jit(lambda x: constrain(x, "batch", "tokens", None))(jnp.zeros((4, 6, 3)))
    assert x.sharding.shard_shape(x.shape) == (2, 3, 3)


def test_an_activation_that_does_not_divide_is_refused(mesh: Mesh) -> None:
    with pytest.raises(SpecError, match="5 tokens cannot be cut into 2 equal shards"):
        constrain_over(mesh)(jnp.zeros((4, 5)), "batch", "tokens")


def test_an_unknown_axis_is_a_mistake_of_ours(mesh: Mesh) -> None:
    with pytest.raises(KeyError, match="tokns"):
        constrain_over(mesh)(jnp.zeros((4, 4)), "batch", "tokns")


@pytest.mark.parametrize(
    ("shape", "axes", "shard"),
    [
        ((3, 8, 6), ("embed", "heads"), (3, 2, 3)),  # leading dim: stacked layers
        ((8, 8), ("embed", "embed"), (2, 8)),  # an axis cuts once
        ((6, 4), ("embed", None), (3, 4)),  # 6 divides by fsdp, not by fsdp x context
        ((5, 7), ("embed", "mlp"), (5, 7)),  # nothing divides
        ((4,), (None,), (4,)),
        ((), (), ()),
    ],
)
def test_a_parameter_takes_the_mesh_axes_that_divide_it(
    mesh: Mesh, shape: tuple[int, ...], axes: tuple[str | None, ...], shard: tuple[int, ...]
) -> None:
    assert parameter_sharding(mesh, shape, axes).shard_shape(shape) == shard


def test_the_state_of_an_optimiser_lies_as_its_parameters(mesh: Mesh) -> None:
    params = {"ffn": {"kernel": jnp.zeros((4, 4)), "bias": jnp.zeros(4)}}
    shardings = parameter_shardings(mesh, params, LAYOUT)
    state = {"count": jnp.zeros(()), "moments": (params, params), "bias": jnp.zeros(4)}
    laid = shard_like(params, shardings, state, otherwise=replicated(mesh))
    assert laid == {"count": replicated(mesh), "moments": (shardings, shardings), "bias": replicated(mesh)}


def test_a_parameter_without_a_pattern_is_named(mesh: Mesh) -> None:
    with pytest.raises(KeyError, match=r"ffn\.table"):
        parameter_shardings(mesh, {"ffn": {"table": jnp.zeros(4)}}, LAYOUT)


def test_names_are_dotted() -> None:
    leaves = jax.tree.leaves_with_path({"blocks": [{"kernel": 0}]})
    assert [path_name(path) for path, _ in leaves] == ["blocks.0.kernel"]

"""Merging against its closed form, and what adapters kept apart can do that merged ones cannot."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from mdctl.lora.merging import adapted, merged, trained, with_trained
from mdctl.lora.placing import Factors
from mdctl.parallel.mesh import make_mesh
from tests.parallel.layouts import make_layout
from tests.parity.tolerances import LAYER

SHAPES = {"blocks": (3, 8, 16), "conv": (3, 5, 4, 16), "linear": (8, 16), "other": (8,)}
SPECS = {"blocks": (None, "fsdp", "tensor"), "conv": (None, None, None, "fsdp"), "linear": ("fsdp",), "other": ()}


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).normal(size=shape).astype(np.float32)


def tree(dtype: Any = jnp.float32) -> dict[str, Any]:
    return {name: {"kernel": jnp.asarray(draw(*shape), dtype)} for name, shape in SHAPES.items()}


def adapter(rank: int = 2) -> dict[str, Factors]:
    return {
        "blocks.kernel": Factors(draw(3, 8, rank), draw(3, rank, 16), np.array([0.5, 0, 3], np.float32)),
        "conv.kernel": Factors(draw(3, 5, 4, rank), draw(rank, 16), np.array(2, np.float32)),
        "linear.kernel": Factors(draw(8, rank), draw(rank, 16), np.array(0.25, np.float32)),
    }


def by_hand(base: dict[str, Any], *adapters: tuple[dict[str, Factors], float]) -> dict[str, np.ndarray]:
    """Return kernels in float64, one layer at a time."""
    kernels = {f"{name}.kernel": np.asarray(leaf["kernel"], np.float64) for name, leaf in base.items()}
    for placed, scale in adapters:
        for name, (down, up, own) in placed.items():
            if own.ndim:
                for layer in range(len(own)):
                    kernels[name][layer] += scale * float(own[layer]) * (np.float64(down[layer]) @ up[layer])
            else:
                kernels[name] += scale * float(own) * (np.float64(down) @ up)
    return kernels


def distance(ours: dict[str, Any], kernels: dict[str, np.ndarray]) -> float:
    far = [np.abs(np.asarray(ours[name]["kernel"], np.float64) - kernels[f"{name}.kernel"]).max() for name in SHAPES]
    return float(max(far))


TWO = (adapter(2), 0.7), (adapter(3), -1.5)


@pytest.mark.parametrize("wrap", [lambda function: function, jax.jit], ids=["eager", "jit"])
def test_the_sum_is_the_closed_form(wrap: Any) -> None:
    ours = wrap(lambda params: merged(params, TWO))(tree())
    assert distance(ours, by_hand(tree(), *TWO)) < 10 * LAYER
    assert distance(tree(), by_hand(tree(), *TWO)) > 1


def test_the_base_stays_what_it_was() -> None:
    base = tree()
    before = jax.tree.map(np.array, base)
    ours = merged(base, TWO)
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, base, before)))
    assert ours["other"]["kernel"] is base["other"]["kernel"]
    assert merged(base, [])["linear"]["kernel"] is base["linear"]["kernel"]


def test_half_precision_is_rounded_once() -> None:
    base = tree(jnp.bfloat16)
    ours = merged(base, TWO)
    once = {name: kernel.astype(jnp.bfloat16).astype(np.float64) for name, kernel in by_hand(base, *TWO).items()}
    assert ours["blocks"]["kernel"].dtype == jnp.bfloat16
    same = [np.mean(np.asarray(ours[name]["kernel"], np.float64) == once[f"{name}.kernel"]) for name in SHAPES]
    assert min(same) > 0.99  # but for ties that float32 breaks otherwise


@pytest.mark.parametrize("wrap", [lambda function: function, jax.jit], ids=["eager", "jit"])
def test_over_a_mesh_it_is_the_same_and_stays_laid_out(wrap: Any) -> None:
    mesh = make_mesh(make_layout({"fsdp": 4, "tensor": 2}))
    layouts = {name: {"kernel": NamedSharding(mesh, PartitionSpec(*spec))} for name, spec in SPECS.items()}
    laid = jax.device_put(tree(), layouts)
    ours = wrap(lambda params: merged(params, TWO))(laid)
    assert distance(ours, by_hand(tree(), *TWO)) < 10 * LAYER
    for name, layout in layouts.items():
        kernel = ours[name]["kernel"]
        assert kernel.sharding.is_equivalent_to(layout["kernel"], kernel.ndim), name


def predict(params: Any, x: Any, time: Any, conditioning: Any) -> Any:
    h = x @ params["linear"]["kernel"] @ params["blocks"]["kernel"][2].T
    return h * time[:, None, None, None, None] + conditioning


X, TIME, CONDITIONING = jnp.asarray(draw(2, 1, 2, 2, 8)), jnp.ones(2), jnp.zeros((2, 1, 2, 2, 8))


def test_scales_change_without_compiling_again() -> None:
    compilations = []

    def counted(*args: Any) -> Any:
        compilations.append(args)
        return predict(*args)

    run = jax.jit(adapted(counted))
    for scales in ([0.7, -1.5], [0.0, 1.0], [0.0, 0.0]):
        params = {"base": tree(), "adapters": [placed for placed, _ in TWO], "scales": np.array(scales, np.float32)}
        pairs = [(placed, scale) for (placed, _), scale in zip(TWO, scales, strict=True)]
        there = predict(merged(tree(), pairs), X, TIME, CONDITIONING)
        np.testing.assert_allclose(run(params, X, TIME, CONDITIONING), there, rtol=1e-4, atol=1e-3)
    assert len(compilations) == 1


def test_only_factors_have_gradients() -> None:
    params = {"base": tree(), "adapters": [adapter()], "scales": jnp.ones(1)}
    slopes = jax.grad(lambda params: jnp.sum(adapted(predict)(params, X, TIME, CONDITIONING)))(params)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(slopes["base"]))
    down, up, scale = slopes["adapters"][0]["blocks.kernel"]
    assert not np.any(scale)
    assert np.any(down[2])
    assert np.any(up[2])
    assert not np.any(down[1])  # a layer without an adapter stays without one
    assert not np.any(up[1])


def test_descent_along_the_gradients_trains_an_adapter() -> None:
    base, meant = tree(), adapter()
    placed = {name: factors._replace(up=np.zeros_like(factors.up)) for name, factors in adapter().items()}
    target = predict(merged(base, [(meant, 1.0)]), X, TIME, CONDITIONING)

    @jax.jit
    @jax.value_and_grad
    def loss(weights: Any) -> Any:
        params = {"base": base, "adapters": [with_trained(placed, weights)], "scales": jnp.ones(1)}
        return jnp.mean(jnp.square(adapted(predict)(params, X, TIME, CONDITIONING) - target))

    weights, losses = trained(placed), []
    for _ in range(200):
        value, slopes = loss(weights)
        weights = jax.tree.map(lambda leaf, slope: leaf - 1e-5 * slope, weights, slopes)
        losses.append(float(value))
    assert losses[-1] < 0.2 * losses[0]


def test_each_adapter_needs_its_scale() -> None:
    params = {"base": tree(), "adapters": [adapter(), adapter()], "scales": jnp.ones(1)}
    with pytest.raises(AssertionError):
        adapted(predict)(params, X, TIME, CONDITIONING)


def test_what_is_trained_is_put_back() -> None:
    placed = adapter()
    assert {name: {*weights} for name, weights in trained(placed).items()} == {name: {"down", "up"} for name in placed}
    doubled = with_trained(placed, jax.tree.map(lambda leaf: 2 * leaf, trained(placed)))
    for name, factors in placed.items():
        np.testing.assert_array_equal(doubled[name].up, 2 * factors.up)
        assert doubled[name].scale is factors.scale


def test_an_adapter_of_another_tree_is_a_mistake_of_ours() -> None:
    with pytest.raises(AssertionError, match="missing"):
        merged(tree(), [({"missing.kernel": adapter()["linear.kernel"]}, 1.0)])

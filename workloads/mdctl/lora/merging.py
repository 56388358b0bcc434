"""Parameters and adapters together: merged once, or kept apart and merged anew wherever the network runs.

    kernel + sum over adapters of scale (alpha / rank) down up                (1)

is summed in float32 and rounded once, to the parameter's dtype. What was added is never subtracted again: rounding
would stay. The network without adapters is the base, which `merged` leaves as it is.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, Concatenate

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.sharding import NamedSharding
from jaxtyping import Float32

from mdctl.diffusion.denoise import Params
from mdctl.lora.placing import Factors, Placed, Values
from mdctl.parallel.rules import path_name

Scale = float | int | Float32[Values, ""]

Weights = Mapping[str, Mapping[str, Any]]
"""What of an adapter is trained: parameter -> `down` and `up`."""


def merged(params: Params, adapters: Sequence[tuple[Placed, Scale]]) -> Params:
    """Return parameters changed by adapters, each with its scale, by (1); each keeps its dtype and how it is laid out.

    Pure: what no adapter changes is shared with `params`, and inside `jit` the compiler lays out the rest.
    """
    names = {path_name(path) for path, _ in jax.tree.leaves_with_path(params)}
    unknown = {name for placed, _ in adapters for name in placed} - names
    assert not unknown, unknown

    def merge(path: tuple[Any, ...], kernel: Array) -> Array:
        name = path_name(path)
        terms = [(placed[name], scale) for placed, scale in adapters if name in placed]
        if not terms:
            return kernel
        if isinstance(kernel, jax.core.Tracer):
            return _add(kernel, terms)
        return _adder(kernel.sharding if isinstance(kernel.sharding, NamedSharding) else None)(kernel, terms)

    merged: Params = jax.tree.map_with_path(merge, params)
    return merged


def adapted[**Rest, Result](
    function: Callable[Concatenate[Params, Rest], Result],
) -> Callable[Concatenate[Params, Rest], Result]:
    """Return a function of parameters, such as a network, that keeps them and their adapters apart.

    It takes {"base": parameters, "adapters": [placed, ...], "scales": one for each} for parameters, so that scales may
    change from call to call of one compiled program. Only the factors have gradients: neither the base nor `scale`,
    which is no weight, has one.
    """

    def with_adapters(params: Params, /, *args: Rest.args, **kwargs: Rest.kwargs) -> Result:
        scales = jnp.asarray(params["scales"], jnp.float32)
        assert scales.shape == (len(params["adapters"]),), (scales.shape, len(params["adapters"]))
        pairs = [(placed, scales[index]) for index, placed in enumerate(params["adapters"])]
        return function(merged(lax.stop_gradient(params["base"]), pairs), *args, **kwargs)

    return with_adapters


def trained(placed: Placed) -> Weights:
    """Return what of an adapter is trained: its factors without the number that scales their product."""
    return {name: {"down": factors.down, "up": factors.up} for name, factors in placed.items()}


def with_trained(placed: Placed, weights: Weights) -> Placed:
    """Return an adapter with other factors in the place of its own."""
    return {name: factors._replace(**weights[name]) for name, factors in placed.items()}


def _add(kernel: Array, terms: Sequence[tuple[Factors, Scale]]) -> Array:
    total = kernel.astype(jnp.float32)
    for factors, scale in terms:
        total = total + _product(factors, scale).reshape(kernel.shape)
    return total.astype(kernel.dtype)


def _product(factors: Factors, scale: Scale) -> Float32[Array, "*L I O"]:
    """Return the scaled product of two factors, layer by layer, with all dims of the inputs as one."""
    up = jnp.asarray(factors.up, jnp.float32)
    down = jnp.asarray(factors.down, jnp.float32).reshape(*up.shape[:-2], -1, up.shape[-2])
    scales = lax.stop_gradient(jnp.asarray(factors.scale, jnp.float32)) * jnp.asarray(scale, jnp.float32)
    product = jnp.einsum("...ir,...ro->...io", down, up, precision=lax.Precision.HIGHEST)
    return product * scales[..., None, None] if scales.ndim else product * scales


@cache
def _adder(sharding: NamedSharding | None) -> Callable[[Array, Sequence[tuple[Factors, Scale]]], Array]:
    return partial(jax.jit, out_shardings=sharding)(_add)

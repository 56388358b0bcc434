"""The arithmetic of a model: floating-point operations of its products and convolutions, counted in what JAX traces.

Those of one sample's way through the network, with nothing padded, repeated or computed again; training takes three
times as many, and guidance twice. What a step needs of them is set against the peak of its chips (MFU).
"""

from collections.abc import Iterator
from math import prod
from typing import Any

import jax
import jax.numpy as jnp

from mdctl.networks.opening import open_network
from mdctl.parallel.execution import Execution
from mdctl.spec.job import JobSpec
from mdctl.spec.shapes import LatentShape


def step_flops(spec: JobSpec, shape: LatentShape) -> float:
    """Return those of one step of training, or of sampling with guidance, over the whole batch."""
    return spec.layout.global_batch * forward_flops(spec, shape) * (2 if spec.task == "generate" else 3)


def forward_flops(spec: JobSpec, shape: LatentShape) -> float:
    """Return those of one sample, forward."""
    denoiser = open_network(spec.catalogue_model, None, Execution.plain(), None)
    latents, time = jax.ShapeDtypeStruct((1, *shape), jnp.float32), jax.ShapeDtypeStruct((1,), jnp.float32)
    traced = jax.make_jaxpr(denoiser.denoise)(denoiser.abstract, latents, time, dict(denoiser.conditioning(1)))
    return count(traced.jaxpr)


def count(jaxpr: Any) -> float:
    """Return the floating-point operations of all products and convolutions; of branches, the dearest's."""
    return sum(_equation(equation) for equation in jaxpr.eqns)


def _equation(equation: Any) -> float:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        terms: int = prod(equation.invars[0].aval.shape[dim] for dim in contracted)
        return 2.0 * float(equation.outvars[0].aval.size) * terms
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval
        terms = int(kernel.size) // kernel.shape[params["dimension_numbers"].rhs_spec[0]]
        return 2.0 * float(equation.outvars[0].aval.size) * terms
    within = [count(part) for part in _parts(params)]
    times: int = params.get("length", 1)
    return times * (max(within, default=0.0) if name == "cond" else sum(within))


def _parts(params: dict[str, Any]) -> Iterator[Any]:
    """Yield the programs within an equation."""
    for value in params.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            inner = getattr(part, "jaxpr", part)
            if hasattr(inner, "eqns"):
                yield inner

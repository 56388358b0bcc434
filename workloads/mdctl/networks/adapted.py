"""A denoiser with a LoRA that is trained in its place: the base stays as it is, and parameters are

{"base": the denoiser's, "adapter": for each parameter that it changes, down and up}
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32

from mdctl.diffusion.denoise import Conditioning, Params
from mdctl.lora.fresh import fresh
from mdctl.lora.merging import merged, trained, with_trained
from mdctl.lora.modules import Modules, modules
from mdctl.lora.placing import LAYOUT, Placed
from mdctl.models.family import Denoiser, fields_of
from mdctl.parallel.rules import under
from mdctl.spec.training import Lora

BASE, ADAPTER = "base", "adapter"


@dataclass(frozen=True, kw_only=True)
class AdaptedDenoiser(Denoiser):
    """The denoiser, and the adapter as it is drawn: `make(key=)` gives its factors, and `modules` their names."""

    inner: Denoiser
    make: Callable[..., Placed]
    modules: Modules

    def begin(self, repository: Path | None, shardings: Any, key: jax.Array | None) -> Params:
        """Return parameters to begin with: the base as published, or drawn, and an adapter that changes nothing."""
        laid = {BASE: None, ADAPTER: None} if shardings is None else shardings
        weights = jax.tree.map(jnp.asarray, trained(self.make(key=jax.random.key(0) if key is None else key)))
        return {
            BASE: self.inner.begin(repository, laid[BASE], key),
            ADAPTER: weights if laid[ADAPTER] is None else jax.device_put(weights, laid[ADAPTER]),
        }


def with_adapter(inner: Denoiser, lora: Lora) -> AdaptedDenoiser:
    """Return a denoiser of which a new adapter alone is trained; raises SpecError if it has none of the targets."""
    found = modules(inner.table, inner.abstract)
    make = partial(fresh, found, lora.targets, rank=lora.rank, alpha=lora.alpha)
    template: Placed = make(key=jax.random.key(0))

    def denoise(
        params: Params, x: Float32[Array, "B T H W C"], time: Float32[Array, " B"], conditioning: Conditioning
    ) -> Float32[Array, "B T H W C"]:
        base = jax.lax.stop_gradient(params[BASE])
        return inner.denoise(merged(base, [(with_trained(template, params[ADAPTER]), 1.0)]), x, time, conditioning)

    outer = replace(
        inner,
        denoise=denoise,
        abstract={BASE: inner.abstract, ADAPTER: jax.eval_shape(lambda: jax.tree.map(jnp.asarray, trained(template)))},
        layout=(*under(BASE, inner.layout), *under(ADAPTER, LAYOUT)),
        frozen=frozenset({BASE}),
        decay_mask=lambda params: jax.tree.map(lambda _: True, params),
    )
    return AdaptedDenoiser(**fields_of(outer), inner=inner, make=make, modules=found)

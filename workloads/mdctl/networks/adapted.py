"""A denoiser with a LoRA that is trained in its place: the base stays as it is, and parameters are

{"base": the denoiser's, "adapter": for each parameter that it changes, down and up}
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Sharding
from jaxtyping import Array, Float32

from mdctl.diffusion.denoise import Conditioning, Params
from mdctl.lora.fresh import fresh
from mdctl.lora.merging import merged, trained, with_trained
from mdctl.lora.modules import Modules, modules
from mdctl.lora.placing import LAYOUT, Placed
from mdctl.lora.saving import save
from mdctl.models.family import Denoiser, PublishedPart, fields_of
from mdctl.parallel.rules import under
from mdctl.spec.training import Lora

BASE, ADAPTER = "base", "adapter"


@dataclass(frozen=True, kw_only=True)
class AdaptedDenoiser(Denoiser):
    """The denoiser, and the adapter as it is drawn: what it changes by published names, and how it is scaled."""

    inner: Denoiser
    drawn: Placed
    modules: Modules

    @property
    def parts(self) -> Mapping[str, PublishedPart]:
        """Return the base's folders."""
        return {name: part.under(BASE) for name, part in self.inner.parts.items()}

    def begin(self, repository: Path | None, shardings: Any, key: jax.Array | None) -> Params:
        """Return parameters to begin with: the base as published, or drawn, and an adapter that changes nothing."""
        laid = {BASE: None, ADAPTER: None} if shardings is None else shardings
        factors = trained(self.drawn)
        return {
            BASE: self.inner.begin(repository, laid[BASE], key),
            ADAPTER: jax.tree.map(jnp.asarray, factors)
            if laid[ADAPTER] is None
            else jax.tree.map(on_every_host, factors, laid[ADAPTER]),
        }

    def save(self, params: Params, folder: Path) -> None:
        """Write the adapter, which is what was trained, as diffusers reads it."""
        save(folder, {self.part: with_trained(self.drawn, params[ADAPTER])}, {self.part: self.modules})


def with_adapter(inner: Denoiser, lora: Lora, seed: int) -> AdaptedDenoiser:
    """Return a denoiser of which a new adapter alone is trained, drawn from a seed.

    Raises SpecError if it has none of the targets.
    """
    found = modules(inner.table, inner.abstract)
    drawn: Placed = fresh(found, lora.targets, rank=lora.rank, alpha=lora.alpha, key=jax.random.key(seed))

    def denoise(
        params: Params, x: Float32[Array, "B T H W C"], time: Float32[Array, " B"], conditioning: Conditioning
    ) -> Float32[Array, "B T H W C"]:
        base = jax.lax.stop_gradient(params[BASE])
        return inner.denoise(merged(base, [(with_trained(drawn, params[ADAPTER]), 1.0)]), x, time, conditioning)

    outer = replace(
        inner,
        denoise=denoise,
        abstract={BASE: inner.abstract, ADAPTER: jax.eval_shape(lambda: jax.tree.map(jnp.asarray, trained(drawn)))},
        layout=(*under(BASE, inner.layout), *under(ADAPTER, LAYOUT)),
        frozen=frozenset({BASE}),
        decay_mask=lambda params: jax.tree.map(lambda _: True, params),
    )
    return AdaptedDenoiser(**fields_of(outer), inner=inner, drawn=drawn, modules=found)


def on_every_host(values: np.ndarray, sharding: Sharding) -> jax.Array:
    """Return an array of which every host has drawn the same values."""
    return jax.make_array_from_callback(values.shape, sharding, lambda index: values[index])

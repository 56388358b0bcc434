"""The sampling loop over a mesh: any number of samples, a batch at a time.

Letters: B samples of one run, N samples in all; T frames, H height, W width, C channels of latents.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float32, UInt32

from mdctl.diffusion.denoise import Conditioning, Denoise, Params
from mdctl.diffusion.guidance import Guidance
from mdctl.diffusion.randomness import Stream, host_noise, stream_key
from mdctl.diffusion.samplers.sampler import Sampler
from mdctl.inference.picture import Picture
from mdctl.inference.sample import Kept, Start, sample
from mdctl.parallel.rules import activation_sharding, replicated
from mdctl.spec.shapes import LatentShape

Encoded = Callable[[Params, Conditioning], Conditioning]
"""A network's own part of conditioning, as `Denoiser.encoded`."""

HostConditioning = Mapping[str, Float32[np.ndarray, "N ..."]]
HostNegative = Mapping[str, Float32[np.ndarray, "..."]]


class Draw(NamedTuple):
    """The noise that a sample starts from: equal draws, equal noise, in whatever company."""

    seed: int
    number: int


class Sample(NamedTuple):
    """Latents of one sample, with its position among those that were asked for."""

    position: int
    latents: Float32[np.ndarray, "T H W C"]


@dataclass(frozen=True, kw_only=True)
class SamplingProgram:
    """The compiled sampling loop of one network, method and size.

    Called with parameters, conditioning [N, ...], the conditioning of the negative prompt (of one sample) and the
    picture to start from, if any, the same on every host, it yields for each batch, once it is computed, the samples
    of it that this host holds: each sample exactly once over all hosts, and none on a host that shares its samples
    with one before it.
    """

    mesh: Mesh
    shape: LatentShape
    batch: int
    run: Callable[..., Float32[Array, "B T H W C"]]

    def __call__(
        self,
        params: Params,
        conditioning: HostConditioning,
        negative: HostNegative,
        draws: Sequence[Draw],
        picture: Picture | None = None,
    ) -> Iterator[list[Sample]]:
        """Yield this host's samples of one batch after the other."""
        data, kept = self._parts(picture)
        for start in range(0, len(draws), self.batch):
            # The last batch is filled up with repetitions, which are thrown away.
            positions = [min(start + n, len(draws) - 1) for n in range(self.batch)]
            chosen = {name: values[positions] for name, values in conditioning.items()}
            drawn = [draws[p] for p in positions]
            numbers = self._place(np.array(drawn, np.uint32), "batch")
            latents = self.run(
                params,
                self._place(chosen, "batch"),
                self._place(negative, None),
                Start(self._noise(drawn), data, kept),
                numbers,
            )
            latents.block_until_ready()
            yield [Sample(start + n, value) for n, value in held(latents) if start + n < len(draws)]

    def _noise(self, draws: Sequence[Draw]) -> Float32[Array, "B T H W C"]:
        """Draw on each host what its devices hold, each sample once."""
        drawn = cache(partial(host_noise, shape=self.shape))

        def rows(index: tuple[slice, ...] | None) -> np.ndarray:
            assert index is not None
            return np.stack([drawn(draw) for draw in draws[index[0]]])

        sharding = activation_sharding(self.mesh, "batch")
        return jax.make_array_from_callback((len(draws), *self.shape), sharding, rows)

    def _parts(self, picture: Picture | None) -> tuple[Array | None, Kept | None]:
        """Return what sampling begins with and what is kept of a picture, for each sample of a batch."""
        if picture is None:
            return None, None

        def each(value: np.ndarray) -> Array:
            placed: Array = self._place(np.broadcast_to(value, (self.batch, *value.shape[1:])), "batch")
            return placed

        latents = each(picture.latents)
        kept = None if picture.mask is None else Kept(latents, each(picture.mask))
        return latents if picture.begins else None, kept

    def _place(self, tree: Any, leading: str | None) -> Any:
        """Put host arrays on the mesh, their first dim cut along `leading`."""
        sharding = replicated(self.mesh) if leading is None else activation_sharding(self.mesh, leading)

        def put(value: np.ndarray) -> Array:
            return jax.make_array_from_callback(value.shape, sharding, lambda index: value[index])

        return jax.tree.map(put, tree)


def make_sampling_program(
    encoded: Encoded,
    denoise: Denoise,
    sampler: Sampler,
    guidance: Guidance,
    shape: LatentShape,
    mesh: Mesh,
    *,
    batch: int,
) -> SamplingProgram:
    """Return the sampling loop of `batch` samples, a multiple of the batch's shards; compiled when first called.

    What the network makes of its conditioning by itself, `encoded`, it makes once, before the loop.
    """

    @partial(jax.jit, out_shardings=activation_sharding(mesh, "batch"))
    def run(
        params: Params,
        conditioning: Any,
        negative: Any,
        start: Start,
        numbers: UInt32[Array, "B 2"],
    ) -> Float32[Array, "B T H W C"]:
        keys = jax.vmap(lambda draw: stream_key(Stream.SAMPLING, *draw))(numbers)
        told = encoded(params, conditioning)
        null = encoded(params, jax.tree.map(lambda leaf: leaf[None], negative))
        null = jax.tree.map(lambda leaf: leaf[0], null)
        return sample(denoise, params, sampler, start, told, null, guidance, keys)

    return SamplingProgram(mesh=mesh, shape=shape, batch=batch, run=run)


def held(values: Array) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the rows of a global array that this host answers for, with their numbers."""
    for shard in values.addressable_shards:
        if shard.replica_id == 0:
            first = shard.index[0].start or 0
            yield from enumerate(np.asarray(shard.data), start=first)

"""The LoRAs that a spec samples a network with: merged into it once, or kept apart with scales that change.

They are laid over the network's whole tree of parameters, whatever is put around its denoiser there, and over the text
encoders that are not in it. Scales are one number for each LoRA, in the order of the spec.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate

import jax
import numpy as np
from jax.sharding import Sharding
from jax.typing import DTypeLike

from mdctl.diffusion.denoise import Params
from mdctl.lora.merging import adapted, merged
from mdctl.lora.modules import modules
from mdctl.lora.placing import Placed, place
from mdctl.lora.reading import read
from mdctl.models.family import Denoiser, PublishedPart, TextEncode, TextEncoders
from mdctl.networks.adapted import on_every_host
from mdctl.parallel.execution import Execution
from mdctl.spec.model import ModelSpec
from mdctl.storage.repository import local_lora

Scales = tuple[float, ...]

OpenText = Callable[[Path, Execution], TextEncoders]


@dataclass(frozen=True, kw_only=True)
class Loras:
    """Adapters of a network and of the text encoders beside it, with the spec's scales.

    `merge` says whether they go into the weights once, when these are loaded.
    """

    network: Sequence[Placed]
    encoders: Sequence[Placed]
    scales: Scales
    open_text: OpenText | None
    merge: bool

    def over[**Rest, Result](
        self, function: Callable[Concatenate[Params, Rest], Result]
    ) -> Callable[Concatenate[Params, Rest], Result]:
        """Return a function of the network's parameters as one of what `into` gives."""
        return function if self.merge or not self.network else adapted(function)

    def into(self, params: Params, sharding: Sharding) -> Callable[[Scales], Params]:
        """Return the parameters by scales, of which there are none but the spec's where they are merged.

        What is kept beside them is laid by `sharding`.
        """
        if self.merge or not self.network:
            whole = merged(params, counting(self.network, self.scales))
            return lambda _: whole
        held = [jax.tree.map(lambda values: on_every_host(values, sharding), placed) for placed in self.network]

        def apart(scales: Scales) -> Params:
            placed = on_every_host(np.array(scales, np.float32), sharding)
            return {"base": params, "adapters": held, "scales": placed}

        return apart

    def load_text(self, denoiser: Denoiser, repository: Path, dtype: DTypeLike) -> Callable[[Scales], TextEncode]:
        """Load the text encoders, and return what encodes prompts by scales."""
        if self.open_text is None or not any(self.encoders):
            encode = denoiser.load_text(repository, dtype)
            return lambda _: encode
        text = self.open_text(repository, Execution(dtype=dtype, param_dtype=dtype))
        params = text.load(None)
        return lambda scales: text.encoder(merged(params, counting(self.encoders, scales)))


def open_loras(model: ModelSpec, denoiser: Denoiser, open_text: OpenText | None, repository: Path) -> Loras:
    """Read the LoRAs of a spec for a network and, where `open_text` opens any, its repository's text encoders.

    Raises WeightsError: one cannot be fetched, is damaged or no LoRA, or is for another model.
    """
    inside, beside = denoiser.parts, beside_it(denoiser, open_text, repository) if model.lora else {}
    parts = {**inside, **beside}
    names = {name: modules(part.table, part.abstract) for name, part in parts.items()}
    network, encoders = [], []
    for index, adapter in enumerate(model.lora):
        path = local_lora(adapter.weights, adapter.weight_name, field=f"model.lora.{index}.weights")
        found = read(path, names, adapter.weight_name)
        placed = {name: place(pairs, names[name]) for name, pairs in found.items()}
        network.append(over(inside, placed))
        encoders.append(over(beside, placed))
    return Loras(
        network=network, encoders=encoders, scales=model.lora_scales, open_text=open_text, merge=model.lora_merge
    )


def beside_it(denoiser: Denoiser, open_text: OpenText | None, repository: Path) -> Mapping[str, PublishedPart]:
    """Return the text encoders that are not in the network's own parameters."""
    parts = {} if open_text is None else open_text(repository, Execution.plain()).parts
    return {name: part for name, part in parts.items() if name not in denoiser.parts}


def over(parts: Mapping[str, PublishedPart], placed: Mapping[str, Placed]) -> Placed:
    """Return the factors of some parts as those of the one tree that has them all."""
    return {
        ".".join((*part.at, parameter)): factors
        for name, part in parts.items()
        for parameter, factors in placed.get(name, {}).items()
    }


def counting(adapters: Sequence[Placed], scales: Scales) -> list[tuple[Placed, float]]:
    """Return each adapter with its scale, without those of which nothing is added."""
    return [(placed, scale) for placed, scale in zip(adapters, scales, strict=True) if scale]

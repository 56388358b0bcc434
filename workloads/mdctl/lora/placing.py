"""An adapter laid over our parameters: factors as the kernels are laid, those of a stack's layers stacked."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from einops import rearrange
from jax import Array
from jaxtyping import Float32

from mdctl.lora.adapter import Pair, Pairs
from mdctl.lora.modules import Module, Modules, by_parameter
from mdctl.parallel.rules import ParameterLayout
from mdctl.spec.errors import WeightsError

Values = Array | np.ndarray


class Factors(NamedTuple):
    """The factors of one parameter, each laid as a kernel itself: from inputs to rank, and from there to outputs.

    `scale` is alpha over rank. Layers without an adapter have zeros in all three, and so have ranks beyond a layer's
    own: nothing flows through them, and no gradient either. The leading dim is there for stacks alone.
    """

    down: Float32[Values, "*LI R"]
    up: Float32[Values, "*L R O"]
    scale: Float32[Values, "*L"]


Placed = Mapping[str, Factors]
"""Dotted name of a parameter -> its factors."""

LAYOUT: ParameterLayout = (("*", ()),)
"""How factors lie over a mesh: every device holds all of them, for they are small."""


def place(pairs: Pairs, modules: Modules) -> Placed:
    """Return an adapter of one part as factors of its parameters, in NumPy; raises WeightsError for unknown modules."""
    if unknown := [name for name in pairs if name not in modules]:
        raise WeightsError(f"this model has no {', '.join(unknown)}, which the LoRA changes. Check model and LoRA.")
    by_name = {modules[name].name: pair for name, pair in pairs.items()}
    groups = by_parameter(modules.values())
    return {
        parameter: _stack(layers, [by_name.get(module.name) for module in layers])
        for parameter, layers in groups.items()
        if any(module.name in by_name for module in layers)
    }


def take_back(placed: Placed, modules: Modules) -> Pairs:
    """Return factors of parameters as an adapter by published names, without layers and ranks that are empty."""
    groups = by_parameter(modules.values())
    pairs = {}
    for parameter, factors in placed.items():
        down, up, scale = map(np.asarray, factors)
        for index, module in enumerate(groups[parameter]):
            layer = ... if module.layer is None else index
            if scale[layer]:
                pairs[module.name] = _publish(module, down[layer], up[layer], scale[layer].item())
    return pairs


def _stack(layers: Sequence[Module], pairs: Sequence[Pair | None]) -> Factors:
    rank = max(pair.rank for pair in pairs if pair)
    factors = [_lay(module, pair or _nothing(module), rank) for module, pair in zip(layers, pairs, strict=True)]
    if layers[0].layer is None:
        return factors[0]
    return Factors(*(np.stack(values) for values in zip(*factors, strict=True)))


def _lay(module: Module, pair: Pair, rank: int) -> Factors:
    """Permute the factors of a module as its kernel is, and pad them to a rank."""
    missing = rank - pair.rank
    down = _to_ours(module, pair.down)
    down = np.pad(down, [(0, 0)] * (down.ndim - 1) + [(0, missing)])
    scale = pair.alpha / pair.rank if pair.rank else 0
    return Factors(down, np.pad(pair.up.T, [(0, missing), (0, 0)]), np.asarray(scale, np.float32))


def _nothing(module: Module) -> Pair:
    return Pair(np.zeros((0, *module.shape[1:]), np.float32), np.zeros((module.shape[0], 0), np.float32), 0.0)


def _publish(module: Module, down: np.ndarray, up: np.ndarray, scale: float) -> Pair:
    used = np.flatnonzero(np.any(down, axis=tuple(range(down.ndim - 1))) | np.any(up, axis=1))
    rank = int(used[-1]) + 1 if used.size else 1
    alpha = float(np.float32(scale * rank))  # rounded as the scale was
    return Pair(_to_published(module, down[..., :rank]), np.ascontiguousarray(up[:rank].T), alpha)


def _to_ours(module: Module, down: np.ndarray) -> np.ndarray:
    assert module.dims.split("->")[0].split()[0] == module.dims.split()[-1], module
    return rearrange(down, module.dims)


def _to_published(module: Module, down: np.ndarray) -> np.ndarray:
    published, ours = module.dims.split("->")
    return np.ascontiguousarray(rearrange(down, f"{ours} -> {published}"))

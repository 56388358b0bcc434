"""Factors to train: down drawn, up zero, so that the network begins as it was."""

import zlib
from collections.abc import Collection, Sequence
from math import prod

import jax
import numpy as np
from jax import Array

from mdctl.lora.modules import Module, Modules, by_parameter
from mdctl.lora.placing import Factors, Placed
from mdctl.spec.errors import SpecError


def fresh(modules: Modules, targets: Collection[str], *, rank: int, alpha: float | int, key: Array) -> Placed:
    """Draw an adapter for the modules whose published names end in a target, as `to_q` or `to_out.0`.

    As PEFT does, down is uniform within ±1 / sqrt(fan in). What is drawn for a parameter depends on the key, which is
    not traced, and its name alone; it is in NumPy, alike on every host. Raises SpecError if a target is the end of no
    name.
    """
    _check(modules, targets)
    chosen = {module.name for name, module in modules.items() if any(_ends(name, target) for target in targets)}
    seed = np.asarray(jax.random.key_data(key)).tolist()
    return {
        parameter: _draw(layers, chosen, rank, alpha, np.random.default_rng([*seed, zlib.crc32(parameter.encode())]))
        for parameter, layers in by_parameter(modules.values()).items()
        if any(module.name in chosen for module in layers)
    }


def _check(modules: Modules, targets: Collection[str]) -> None:
    idle = [target for target in targets if not any(_ends(name, target) for name in modules)]
    if idle or not targets:
        ends = sorted({_end(name) for name in modules})
        raise SpecError(
            f"targets {', '.join(idle) or '(none)'}: no module of this network is called so. Names end in "
            f"{', '.join(ends[:24])}{', ...' if len(ends) > 24 else ''}."
        )


def _ends(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")


def _end(name: str) -> str:
    """Return the last word of a name, with what follows it in numbers."""
    words = name.split(".")
    start = next((index for index in reversed(range(len(words))) if not words[index].isdigit()), 0)
    return ".".join(words[start:])


def _draw(
    layers: Sequence[Module], chosen: Collection[str], rank: int, alpha: float | int, rng: np.random.Generator
) -> Factors:
    """Draw the factors of a parameter; layers that are not chosen have zeros."""
    module = layers[0]
    outputs, inputs = module.shape[0], _inputs(module)
    stack = () if module.layer is None else (len(layers),)
    used = np.array([layer.name in chosen for layer in layers], np.float32).reshape(stack)
    bound = prod(module.shape[1:]) ** -0.5
    down = rng.uniform(-bound, bound, (*stack, *inputs, rank)) * used.reshape(*stack, *(1 for _ in (*inputs, rank)))
    up = np.zeros((*stack, rank, outputs), np.float32)
    return Factors(down.astype(np.float32), up, np.asarray(alpha / rank * used, np.float32))


def _inputs(module: Module) -> tuple[int, ...]:
    """Return the sizes of a kernel's dims as they are here, without the last, the outputs."""
    published, ours = (side.split() for side in module.dims.split("->"))
    sizes = {"1": 1, **dict(zip(published, module.shape, strict=True))}
    return tuple(sizes[letter] for letter in ours[:-1])

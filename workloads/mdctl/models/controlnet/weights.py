"""The published weights of a ControlNet: tensor by tensor, what they are here; and those of a UNet to start from.

What it shares with a UNet has the UNet's names, published and here.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import jax
import jax.numpy as jnp

from mdctl.models.controlnet.config import ControlNetConfig
from mdctl.models.unet import weights as unet_weights
from mdctl.models.unet.weights import POINTWISE
from mdctl.models.weights import CONV_2D, Rule, Table, fold
from mdctl.parallel.rules import path_name
from mdctl.spec.errors import WeightsError

OWN = {
    "controlnet_cond_embedding.{conv}": CONV_2D,
    "controlnet_cond_embedding.blocks.{n}": CONV_2D,
    "controlnet_down_blocks.{n}": POINTWISE,
    "controlnet_mid_block": POINTWISE,
}
"""Layers that no UNet has -> how the dims of their weights become ours."""

ALONE = "controlnet_"
"""How the names of all of them begin."""


def weight_table(cfg: ControlNetConfig) -> Table:
    """Return the table of a configuration."""
    return (
        *(Rule(f"{layer}.weight", f"{layer}.kernel", dims) for layer, dims in OWN.items()),
        *(Rule(f"{layer}.bias", f"{layer}.bias") for layer in OWN),
        *unet_weights.weight_table(cfg.unet),
    )


def from_unet(unet: Any, new: Any) -> Any:
    """Return the parameters to train a ControlNet from: those of `new`, but the UNet's wherever it has them too.

    `new` are a new ControlNet's parameters, as they were initialised: what it adds is zero. What is copied takes their
    dtype, and is a copy, so that a training step may consume it while the UNet stays.

    Raises WeightsError if the UNet lacks a parameter that is not the ControlNet's alone, or has it in another shape.
    """
    given, wanted = _by_name(unet), _by_name(new)
    shared = [name for name in wanted if not name.startswith(ALONE)]
    _check(shared, given, wanted)

    def start(path: Any, leaf: Any) -> Any:
        name = path_name(path)
        return leaf if name.startswith(ALONE) else jnp.array(given[name], leaf.dtype)

    return jax.tree.map_with_path(start, new)


def _by_name(params: Any) -> dict[str, Any]:
    return {path_name(path): leaf for path, leaf in jax.tree.leaves_with_path(params)}


def _check(names: Iterable[str], given: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise once, with all that keeps a ControlNet from starting from a UNet."""
    wrong: dict[str, list[str]] = defaultdict(list)
    for name in names:
        if name not in given:
            wrong["not in the UNet"].append(name)
        elif (shape := given[name].shape) != wanted[name].shape:
            wrong[f"of shape {shape} in the UNet, {wanted[name].shape} in the ControlNet"].append(name)
    if wrong:
        advice = "a ControlNet cannot start from this UNet. Make its config by ControlNetConfig.of(the UNet's)."
        listing = chain.from_iterable(fold(problem, names) for problem, names in wrong.items())
        raise WeightsError("\n  ".join([advice, *listing]))

"""The modules of a network that an adapter may change: every published tensor that is a kernel of ours."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from mdctl.models.weights import Params, Table, bind

KERNEL = "kernel"
"""How the parameter of a linear layer or convolution is called here; embeddings and norms are called otherwise."""

WEIGHT = ".weight"


class Module(NamedTuple):
    """A published module: the first of its names, the shape of its kernel, and which parameter of ours that is.

    `dims` says how the kernel's dims become those of the parameter, `layer` which of a stack it is, None where the
    parameter is no stack.
    """

    name: str
    shape: tuple[int, ...]
    parameter: str
    layer: int | None
    dims: str


Modules = Mapping[str, Module]
"""Every name that a module is published by -> the module."""


def modules(table: Table, abstract: Params) -> Modules:
    """Return the modules of a network, from its weight table and its abstract parameters."""
    found: dict[str, Module] = {}
    for parameter in bind(table, abstract):
        if parameter.name.rpartition(".")[2] != KERNEL:
            continue
        for index, tensor in enumerate(parameter.tensors):
            names = [name.removesuffix(WEIGHT) for name in tensor.names]
            layer = index if parameter.stacked else None
            module = Module(names[0], tensor.shape, parameter.name, layer, tensor.dims)
            found |= dict.fromkeys(names, module)
    return found


def by_parameter(found: Iterable[Module]) -> Mapping[str, list[Module]]:
    """Return for each parameter its modules, which for a stack are its layers in order."""
    groups: dict[str, list[Module]] = {}
    for module in dict.fromkeys(found):
        groups.setdefault(module.parameter, []).append(module)
    return groups

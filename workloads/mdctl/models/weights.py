"""Weight tables: how published tensors become parameters of ours, and back.

A table is a list of rules, each from the name of a published tensor to the dotted name of a parameter:

    Rule("blocks.{i}.attn1.to_q.weight", "blocks.attn1.to_q.kernel", "o i -> i o")

`{word}` stands for one segment of a name. One that both names have is the same in both; `{i}` in the published name
alone is the layer: the parameter stacks that tensor of all layers on its leading dim. The last part says how dims are
permuted, and which of size one come and go, as einops writes it; without it they stay. The first rule whose parameter
matches counts.

Tables are complete in both directions: `load` and `save` raise if a parameter has no tensor or a tensor no parameter.
"""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from einops import rearrange
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding
from jax.typing import DTypeLike

from mdctl.parallel.rules import path_name
from mdctl.spec.errors import WeightsError
from mdctl.storage.tensors import MAX_FILE_BYTES, STEMS, Slice, Spec, open_tensors, read_json, write_tensors

LINEAR = "o i -> i o"
CONV_2D = "o i h w -> h w i o"
CONV_3D = "o i t h w -> t h w i o"

FLOATS = ("F64", "F32", "F16", "BF16")

# What is read at a time: small beside a layer, and of a tensor whose dims are permuted, rows that fill a cache line of
# the parameter, which is four times as fast as all of them at once.
BLOCK_BYTES = 16 * 2**20
PERMUTED_ROWS = 16


logger = logging.getLogger(__name__)


class Rule(NamedTuple):
    """One line of a table. Several published names are alternatives: any one is read, the first is written."""

    published: str | tuple[str, ...]
    parameter: str
    dims: str = ""


Table = Sequence[Rule]
Params = Any


class Tensor(NamedTuple):
    """A published tensor: the names it may have, its shape, and how its dims become those of the parameter."""

    names: tuple[str, ...]
    shape: tuple[int, ...]
    dims: str


class Parameter(NamedTuple):
    """A parameter and the tensors that fill it: one for each layer, or one."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    stacked: bool
    tensors: tuple[Tensor, ...]


def read_config(folder: Path) -> dict[str, Any]:
    """Return the config.json of a model's folder; raise WeightsError if there is none."""
    return read_json(folder / "config.json")


def load(
    table: Table,
    folder: Path,
    params: Params,
    shardings: Params | None = None,
    dtype: DTypeLike | None = None,
    *,
    ignored: Collection[str] = (),
) -> Params:
    """Fill abstract parameters from a folder in the Hugging Face layout.

    `shardings` is a tree like `params`, None for the first device of this process. `dtype` replaces that of every
    parameter, None keeps each its own. Each device gets its part alone, read in blocks, so that the host holds little
    more than one device's part of one parameter. Tensors named in `ignored` are not read, and told of.

    Raises WeightsError listing every tensor without a parameter, every parameter without a tensor, and every tensor of
    the wrong shape or not a plain float.
    """
    stored = _leave_out(folder, open_tensors(folder), ignored)
    parameters = bind(table, params)
    _check(folder, parameters, stored)
    leaves, treedef = jax.tree.flatten(params)
    whole = SingleDeviceSharding(jax.local_devices()[0])
    layouts = [whole] * len(leaves) if shardings is None else jax.tree.leaves(shardings)
    placed = [
        _place(parameter, stored, layout, parameter.dtype if dtype is None else np.dtype(dtype))
        for parameter, layout in zip(parameters, layouts, strict=True)
    ]
    return jax.tree.unflatten(treedef, placed)


def save(
    table: Table,
    params: Params,
    folder: Path,
    *,
    config: Mapping[str, Any],
    stem: str = STEMS[0],
    max_file_bytes: int = MAX_FILE_BYTES,
) -> None:
    """Write parameters and a config.json as `load` and the published class read them; replaces what the folder held.

    Every process of a job must call this; the first one writes. Raises OutputError if the folder cannot be written.
    """
    parameters = bind(table, params)
    unbound = [parameter.name for parameter in parameters if not parameter.tensors]
    assert not unbound, unbound
    specs, sources = {}, {}
    for parameter, leaf in zip(parameters, jax.tree.leaves(params), strict=True):
        for layer, tensor in enumerate(parameter.tensors):
            specs[tensor.names[0]] = Spec(tensor.shape, parameter.dtype)
            sources[tensor.names[0]] = leaf, layer if parameter.stacked else None, tensor.dims

    def fetch(name: str) -> np.ndarray:
        leaf, layer, dims = sources[name]
        value = _to_host(leaf, layer)
        return np.asarray(rearrange(value, _reverse(dims)) if dims else value, order="C")

    if jax.process_index() == 0:
        write_tensors(folder, specs, fetch, config=config, stem=stem, max_file_bytes=max_file_bytes)
    else:
        for name in specs:
            fetch(name)


def bind(table: Table, params: Params) -> list[Parameter]:
    """Return, for each leaf of `params` in order, the tensors that fill it; none where the table has no rule."""
    leaves = jax.tree.leaves_with_path(params)
    return [_bind_one(table, path_name(path), leaf) for path, leaf in leaves]


def published_shapes(table: Table, params: Params) -> dict[str, tuple[int, ...]]:
    """Return name and shape of every tensor that a folder of these parameters may hold, alternatives included."""
    tensors = (tensor for parameter in bind(table, params) for tensor in parameter.tensors)
    return {name: tensor.shape for tensor in tensors for name in tensor.names}


def _bind_one(table: Table, name: str, leaf: Any) -> Parameter:
    dtype = np.dtype(leaf.dtype)
    for rule in table:
        if match := _pattern(rule.parameter).fullmatch(name):
            return _follow(rule, match.groupdict(), Parameter(name, leaf.shape, dtype, False, ()))
    return Parameter(name, leaf.shape, dtype, False, ())


def _follow(rule: Rule, words: Mapping[str, str], parameter: Parameter) -> Parameter:
    """Complete a parameter by its rule; `words` stand for what its name has in place of the rule's fields."""
    published = (rule.published,) if isinstance(rule.published, str) else rule.published
    stacked = "i" not in words and "{i}" in published[0]
    shape = _published_shape(parameter.shape[stacked:], rule.dims)
    layers = range(parameter.shape[0]) if stacked else (0,)
    tensors = (
        Tensor(tuple(name.format(**{"i": layer, **words}) for name in published), shape, rule.dims) for layer in layers
    )
    return parameter._replace(stacked=stacked, tensors=tuple(tensors))


@cache
def _pattern(parameter: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^.]+)", re.escape(parameter)))


def _published_shape(shape: tuple[int, ...], dims: str) -> tuple[int, ...]:
    published, ours = _letters(dims, len(shape))
    sizes = {"1": 1, **dict(zip(ours, shape, strict=True))}
    return tuple(sizes[letter] for letter in published)


def _letters(dims: str, rank: int) -> tuple[list[str], list[str]]:
    """Return one letter for each dim of the published tensor, and of the parameter."""
    if not dims:
        same = [f"d{dim}" for dim in range(rank)]
        return same, same
    published, ours = dims.split("->")
    return published.split(), ours.split()


def _reverse(dims: str) -> str:
    published, ours = dims.split("->")
    return f"{ours} -> {published}"


def _leave_out(folder: Path, stored: Mapping[str, Slice], ignored: Collection[str]) -> dict[str, Slice]:
    if names := [name for name in stored if name in ignored]:
        logger.info("%s: not read, since nothing depends on it: %s", folder, ", ".join(names))
    return {name: source for name, source in stored.items() if name not in ignored}


def _check(folder: Path, parameters: Iterable[Parameter], stored: Mapping[str, Slice]) -> None:
    """Raise once, with all that keeps the tensors of a folder from filling the parameters."""
    parameters = list(parameters)
    tensors = [tensor for parameter in parameters for tensor in parameter.tensors]
    known = {name: tensor for tensor in tensors for name in tensor.names}
    found = {name: stored[name] for name in known if name in stored}
    wrong: dict[str, list[str]] = defaultdict(list)
    for name, source in found.items():
        if (shape := tuple(source.get_shape())) != known[name].shape:
            wrong[f"of shape {shape} where {known[name].shape} belongs"].append(name)
    problems = [
        *fold("no rule fills our", (parameter.name for parameter in parameters if not parameter.tensors)),
        *fold("missing", (tensor.names[0] for tensor in tensors if not any(name in stored for name in tensor.names))),
        *fold("unknown to this model", (name for name in stored if name not in known)),
        *fold("not a plain float", (name for name, source in found.items() if source.get_dtype() not in FLOATS)),
        *chain.from_iterable(fold(problem, names) for problem, names in wrong.items()),
    ]
    if problems:
        listing = "\n  ".join(problems)
        raise WeightsError(f"{folder}: these weights are not this model's. Check model and weights.\n  {listing}")


def fold(problem: str, names: Iterable[str]) -> Iterator[str]:
    """List names, those that differ only in numbers as one line, so that a long list of layers stays readable."""
    first: dict[str, str] = {}
    count: Counter[str] = Counter()
    for name in names:
        form = re.sub(r"\d+", "0", name)
        first.setdefault(form, name)
        count[form] += 1
    for form, name in first.items():
        yield f"{problem}: {name}" + (f" and {count[form] - 1} like it" if count[form] > 1 else "")


def _place(parameter: Parameter, stored: Mapping[str, Slice], sharding: Sharding, dtype: np.dtype[Any]) -> jax.Array:
    """Read the parts that devices of this process hold, one at a time, and put each on its devices."""
    holders: dict[tuple[range, ...], list[jax.Device]] = {}
    for device, index in sharding.addressable_devices_indices_map(parameter.shape).items():
        part = tuple(range(size)[dim] for size, dim in zip(parameter.shape, index or (), strict=True))
        holders.setdefault(part, []).append(device)
    arrays: list[jax.Array] = []
    for part, devices in holders.items():
        values = _read_part(parameter, stored, part, dtype)
        arrays += jax.block_until_ready([jax.device_put(values, device) for device in devices])
    return jax.make_array_from_single_device_arrays(parameter.shape, sharding, arrays)


def _read_part(
    parameter: Parameter, stored: Mapping[str, Slice], part: tuple[range, ...], dtype: np.dtype[Any]
) -> np.ndarray:
    """Read a box of a parameter, layer by layer."""
    values = _aligned(tuple(len(dim) for dim in part), dtype)
    layers, box = (part[0], part[1:]) if parameter.stacked else ((0,), part)
    for position, layer in enumerate(layers):
        tensor = parameter.tensors[layer]
        source = next(stored[name] for name in tensor.names if name in stored)
        _fill(values[position, ...] if parameter.stacked else values, source, tensor.dims, box)
    return values


def _fill(values: np.ndarray, source: Slice, dims: str, box: tuple[range, ...]) -> None:
    """Read a box of a tensor into `values`, permuted and cast, a block of its leading dim at a time."""
    published, ours = _letters(dims, len(box))
    wanted = {"1": range(1), **dict(zip(ours, box, strict=True))}
    for block in _blocks(wanted, published, permuted=published != ours):
        piece = source[tuple(slice(block[letter].start, block[letter].stop) for letter in published)]
        place = tuple(
            slice(block[letter].start - wanted[letter].start, block[letter].stop - wanted[letter].start)
            for letter in ours
        )
        values[place] = rearrange(piece, dims) if dims else piece


def _blocks(wanted: Mapping[str, range], published: Sequence[str], *, permuted: bool) -> Iterator[Mapping[str, range]]:
    """Cut a box along the leading dim of the published tensor, in which its file is contiguous."""
    if not published:
        yield wanted
        return
    rows = wanted[published[0]]
    row_bytes = prod(len(wanted[letter]) for letter in published[1:]) * np.dtype(np.float32).itemsize
    step = PERMUTED_ROWS if permuted else max(1, BLOCK_BYTES // max(1, row_bytes))
    for start in range(0, len(rows), step):
        yield {**wanted, published[0]: rows[start : start + step]}


def _aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """Return an empty array at an address that the CPU backend takes over without a copy."""
    size, alignment = prod(shape) * dtype.itemsize, 64
    memory = np.empty(size + alignment, np.uint8)
    start = -memory.ctypes.data % alignment
    return memory[start : start + size].view(dtype).reshape(shape)


def _to_host(leaf: jax.Array, layer: int | None) -> np.ndarray:
    """Return a parameter, or one layer of it, on every process."""
    layout = leaf.sharding
    whole = NamedSharding(layout.mesh, PartitionSpec()) if isinstance(layout, NamedSharding) else layout
    return np.asarray(_take_into(whole)(leaf) if layer is None else _take_layer_into(whole)(leaf, layer))


@cache
def _take_into(sharding: Sharding) -> Callable[[jax.Array], jax.Array]:
    return jax.jit(lambda leaf: leaf, out_shardings=sharding)


@cache
def _take_layer_into(sharding: Sharding) -> Callable[[jax.Array, int], jax.Array]:
    return jax.jit(lambda leaf, layer: lax.dynamic_index_in_dim(leaf, layer, keepdims=False), out_shardings=sharding)

"""Flash attention for TPU: two Pallas kernels, each of which keeps both cores of a chip at work.

The equations are those of `blockwise`, tile by tile, with exponentials to the base 2: 1 / ln 2 goes into the scale of
the queries, once for all tiles. The cores share the heads, and for each head

    forward     for a tile of queries, all tiles of keys: m, l and o of (1) stay in fast memory
    backward    for a tile of keys, all tiles of queries: its ∂k and ∂v stay there, and ∂q of all queries

so that the backward pass takes the five products of (3) once; a kernel for ∂q and one for ∂k and ∂v would take seven.
Queries for whose ∂q there is no room go in parts, and the parts' ∂k and ∂v are added up.

Sequences need not be whole tiles: what a tile has beyond them is cleared when it is read, and never written. `bias` is
added to the scores of a key: 0, or HIDDEN for one that does not count. None, where all count, saves adding it.

Letters: B videos, H heads of all videos, L queries, S keys, K width; N heads of a video in `Attention`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import log
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu
from jaxtyping import Array, Bool, Float

from mdctl.parallel.attention import ATTENTION_RESIDUALS, Attention
from mdctl.parallel.attention.blockwise import HIDDEN
from mdctl.parallel.precision import full_precision

Ref = Any
"""A view of an argument or of fast memory, inside a kernel."""

LANES = 128
MIB = 2**20

# Products of a and b: a bᵀ, a b and aᵀ b.
NT = (((1,), (1,)), ((), ()))
NN = (((1,), (0,)), ((), ()))
TN = (((0,), (0,)), ((), ()))


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """The largest tiles that suit a chip: queries and keys in fast memory, and keys computed at once.

    `resident` is the number of queries whose ∂q a core keeps, in the `fast_memory` bytes that a kernel may take.
    """

    queries: int = 2048
    keys: int = 2048
    computed: int = 512
    resident: int
    fast_memory: int


TILES: Mapping[str, Tiles] = {
    "TPU v4": Tiles(queries=512, keys=1024, resident=8192, fast_memory=15 * MIB),
    "TPU v5 lite": Tiles(resident=81_920, fast_memory=100 * MIB),
    "TPU v5": Tiles(resident=49_152, fast_memory=56 * MIB),
    "TPU v6 lite": Tiles(resident=81_920, fast_memory=100 * MIB),
    "TPU7x": Tiles(resident=49_152, fast_memory=56 * MIB),
}
"""By `device_kind`. On v5p a tile of 1920 queries and 2048 keys takes 1.08 (forward) and 1.0 (backward) times as many
cycles as the matrix units need for its products, by the schedule of libtpu 0.0.50."""


def flash_attention(tiles: Tiles, *, mask_padding: bool = True, interpret: bool = False) -> Attention:
    """Return the kernel for the heads and queries of one device, and all keys.

    Without `mask_padding` the keys that fill up the last tile take part, with score 0. `interpret` runs on a CPU.
    """

    def attend(
        q: Float[Array, "B L N K"],
        k: Float[Array, "B S N K"],
        v: Float[Array, "B S N K"],
        mask: Bool[Array, "B S"] | None = None,
    ) -> Float[Array, "B L N K"]:
        call = _fit(tiles, q.shape[1], k.shape[1], interpret)
        if mask is None and mask_padding and k.shape[1] % call.keys:
            mask = jnp.ones((1, k.shape[1]), bool)
        bias = None if mask is None else jnp.where(_fill(mask, call.keys), 0.0, HIDDEN).astype(jnp.float32)[:, None]
        scaled = (q.astype(jnp.float32) * jnp.float32(q.shape[-1] ** -0.5 / log(2))).astype(q.dtype)
        q_HLK, k_HSK, v_HSK = (rearrange(x, "b l n k -> (b n) l k") for x in (scaled, k, v))
        if call.parts > 1:
            q_HLK = _fill(q_HLK, call.queries * call.parts)
        out_HLK = _attend(call, q_HLK, k_HSK, v_HSK, bias)
        return rearrange(out_HLK[:, : q.shape[1]], "(b n) l k -> b l n k", b=q.shape[0])

    return attend


def fit_tile(length: int, largest: int) -> int:
    """Return the tile, a multiple of LANES up to `largest`, that costs least for a sequence of this length.

    A tile of size t costs t + 64: to start one takes as long as 3% to 6% of a large one.
    """
    sizes = np.arange(LANES, largest + 1, LANES)
    return int(sizes[np.argmin(-(-length // sizes) * (sizes + 64))])


@dataclass(frozen=True, kw_only=True)
class _Call:
    """What both kernels of a call are compiled for: tiles, and parts of the queries in the backward pass."""

    queries: int
    keys: int
    computed: int
    parts: int
    fast_memory: int
    interpret: bool

    def compile(self, kernel: Callable[..., None], **shapes: Any) -> Callable[..., Any]:
        """Return a kernel whose cores share the first dimension of its grid."""
        params = pltpu.CompilerParams(
            dimension_semantics=[pltpu.PARALLEL] + [pltpu.ARBITRARY] * (len(shapes["grid"]) - 1),
            vmem_limit_bytes=self.fast_memory,
        )
        return pl.pallas_call(kernel, compiler_params=params, interpret=self.interpret, **shapes)


def _fit(tiles: Tiles, num_queries: int, num_keys: int, interpret: bool) -> _Call:
    queries, keys = fit_tile(num_queries, tiles.queries), fit_tile(num_keys, tiles.keys)
    return _Call(
        queries=queries,
        keys=keys,
        computed=max(n for n in range(LANES, min(keys, tiles.computed) + 1, LANES) if keys % n == 0),
        parts=-(-num_queries // tiles.resident),
        fast_memory=tiles.fast_memory,
        interpret=interpret,
    )


def _fill(x: Array, tile: int) -> Array:
    """Append zeros along the second dimension, up to a whole number of tiles."""
    return jnp.pad(x, [(0, -size % tile if dim == 1 else 0) for dim, size in enumerate(x.shape)])


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _attend(call: _Call, q: Array, k: Array, v: Array, bias: Array | None) -> Array:
    return _forward(call, q, k, v, bias)[0]


def _forward(call: _Call, q: Array, k: Array, v: Array, bias: Array | None) -> tuple[Array, tuple[Array | None, ...]]:
    """Return the output and what the backward pass needs."""
    (heads, num_queries, width), num_keys = q.shape, k.shape[1]
    per_bias = heads // (1 if bias is None else bias.shape[0])
    query = pl.BlockSpec((None, call.queries, width), lambda h, i, j: (h, i, 0))
    key = pl.BlockSpec((None, call.keys, width), lambda h, i, j: (h, j, 0))
    row = pl.BlockSpec((None, 1, call.keys), lambda h, i, j: (lax.div(h, per_bias), 0, j))
    run = call.compile(
        partial(_forward_kernel, computed=call.computed, num_keys=num_keys),
        name="flash_forward",
        grid=(heads, pl.cdiv(num_queries, call.queries), pl.cdiv(num_keys, call.keys)),
        in_specs=[query, key, key, None if bias is None else row],
        out_specs=[query, pl.BlockSpec((None, 1, call.queries), lambda h, i, j: (h, 0, i))],
        out_shape=[_like(q), jax.ShapeDtypeStruct((heads, 1, num_queries), jnp.float32)],
        scratch_shapes=[_scratch(call.queries, LANES), _scratch(call.queries, LANES), _scratch(call.queries, width)],
    )
    out, lse = (checkpoint_name(x, ATTENTION_RESIDUALS) for x in run(q, k, v, bias))
    return out, (q, k, v, bias, out, lse)


class _Forward(NamedTuple):
    """What the forward kernel sees of its arguments; m and the sum are the same in all lanes."""

    q: Ref
    k: Ref
    v: Ref
    bias: Ref | None
    out: Ref
    lse: Ref
    m: Ref
    total: Ref
    o: Ref


def _forward_kernel(*refs: Ref, computed: int, num_keys: int) -> None:
    """Add a tile of keys to a tile of queries, by (1), and after the last divide, by (2)."""
    tile = _Forward(*refs)
    key_rows = _Rows(tile.k.shape[0], num_keys, pl.program_id(2))

    @pl.when(pl.program_id(2) == 0)
    def _start() -> None:
        tile.m[...] = jnp.full_like(tile.m, HIDDEN)
        tile.total[...] = jnp.zeros_like(tile.total)
        tile.o[...] = jnp.zeros_like(tile.o)

    for keys in key_rows.pieces(computed):
        s = _dot(tile.q[...], key_rows.read(tile.k, keys), NT)
        s = s if tile.bias is None else s + tile.bias[:, keys]
        m, m_next = tile.m[...], jnp.maximum(tile.m[...], s.max(axis=-1, keepdims=True))
        p = jnp.exp2(s - _across(m_next, computed))
        alpha = jnp.exp2(m - m_next)
        tile.m[...] = m_next
        tile.total[...] = alpha * tile.total[...] + p.sum(axis=-1, keepdims=True)
        o_next = _dot(p.astype(tile.v.dtype), key_rows.read(tile.v, keys), NN)
        tile.o[...] = _across(alpha, tile.o.shape[1]) * tile.o[...] + o_next

    @pl.when(pl.program_id(2) == pl.num_programs(2) - 1)
    def _end() -> None:
        tile.out[...] = (tile.o[...] / _across(tile.total[...], tile.o.shape[1])).astype(tile.out.dtype)
        tile.lse[...] = (tile.m[...] + jnp.log2(tile.total[...])).T[:1]


@full_precision
def _backward(call: _Call, residuals: tuple[Any, ...], d_out: Array) -> tuple[Array, Array, Array, None]:
    """Return the gradients of q, k and v, by (3)."""
    q, k, v, bias, out, lse = residuals
    (heads, num_queries, width), num_keys = q.shape, k.shape[1]
    per_bias = heads // (1 if bias is None else bias.shape[0])
    num_tiles, last = pl.cdiv(num_queries, call.queries * call.parts), pl.cdiv(num_keys, call.keys) - 1
    query = pl.BlockSpec((None, call.queries, width), lambda h, p, j, i: (h, p * num_tiles + i, 0))
    row = pl.BlockSpec((None, 1, call.queries), lambda h, p, j, i: (h, 0, p * num_tiles + i))
    key = pl.BlockSpec((None, call.keys, width), lambda h, p, j, i: (h, j, 0))
    column = pl.BlockSpec((None, call.keys, LANES), lambda h, p, j, i: (lax.div(h, per_bias), j, 0))
    d_query = pl.BlockSpec(
        (None, call.queries, width), lambda h, p, j, i: (h, p * num_tiles + jnp.where(j == last, i, 0), 0)
    )
    d_key = pl.BlockSpec((None, None, call.keys, width), lambda h, p, j, i: (p, h, j, 0))
    d_keys = jax.ShapeDtypeStruct((call.parts, *k.shape), k.dtype if call.parts == 1 else jnp.float32)
    run = call.compile(
        partial(_backward_kernel, computed=call.computed, num_queries=num_queries, num_keys=num_keys),
        name="flash_backward",
        grid=(heads, call.parts, last + 1, num_tiles),
        in_specs=[query, key, key, None if bias is None else column, query, row, row],
        out_specs=[d_query, d_key, d_key],
        out_shape=[_like(q), d_keys, d_keys],
        scratch_shapes=[
            _scratch(num_tiles * call.queries, width),
            _scratch(call.keys, width),
            _scratch(call.keys, width),
        ],
    )
    delta = jnp.einsum("hlk,hlk->hl", out, d_out, preferred_element_type=jnp.float32)[:, None]
    wide_bias = None if bias is None else jnp.broadcast_to(bias[:, 0, :, None], (bias.shape[0], bias.shape[2], LANES))
    d_q, d_k, d_v = run(q, k, v, wide_bias, d_out, lse, delta)
    return d_q, d_k.sum(axis=0).astype(k.dtype), d_v.sum(axis=0).astype(v.dtype), None


_attend.defvjp(_forward, _backward)


class _Backward(NamedTuple):
    """What the backward kernel sees of its arguments; `dq` is of all queries of the part."""

    q: Ref
    k: Ref
    v: Ref
    bias: Ref | None
    d_out: Ref
    lse: Ref
    delta: Ref
    d_q: Ref
    d_k: Ref
    d_v: Ref
    dq: Ref
    dk: Ref
    dv: Ref


def _backward_kernel(*refs: Ref, computed: int, num_queries: int, num_keys: int) -> None:
    """Take a tile of keys and a tile of queries, by (3), with keys as rows and queries as columns."""
    tile = _Backward(*refs)
    num_rows, width = tile.q.shape
    key_rows = _Rows(tile.k.shape[0], num_keys, pl.program_id(2))
    query_rows = _Rows(num_rows, num_queries, pl.program_id(1) * pl.num_programs(3) + pl.program_id(3))
    q, d_out = query_rows.read(tile.q), query_rows.read(tile.d_out)
    lse, delta = query_rows.read(tile.lse, dim=1), query_rows.read(tile.delta, dim=1)
    of_tile = pl.ds(pl.program_id(3) * num_rows, num_rows)

    @pl.when(pl.program_id(3) == 0)
    def _start_keys() -> None:
        tile.dk[...] = jnp.zeros_like(tile.dk)
        tile.dv[...] = jnp.zeros_like(tile.dv)

    @pl.when(pl.program_id(2) == 0)
    def _start_queries() -> None:
        tile.dq[of_tile, :] = jnp.zeros((num_rows, width), jnp.float32)

    dq = jnp.zeros((num_rows, width), jnp.float32)
    for keys in key_rows.pieces(computed):
        k, v = key_rows.read(tile.k, keys), key_rows.read(tile.v, keys)
        s = _dot(k, q, NT)
        s = s if tile.bias is None else s + _across(tile.bias[keys, :], num_rows)
        p = jnp.exp2(s - lse)
        tile.dv[keys, :] += _dot(p.astype(d_out.dtype), d_out, NN)
        ds = (p * (_dot(v, d_out, NT) - delta)).astype(q.dtype)
        tile.dk[keys, :] += _dot(ds, q, NN)
        dq += _dot(ds, k, TN)
    tile.dq[of_tile, :] += dq

    @pl.when(pl.program_id(3) == pl.num_programs(3) - 1)
    def _end_keys() -> None:
        tile.d_k[...] = (tile.dk[...] * log(2)).astype(tile.d_k.dtype)
        tile.d_v[...] = tile.dv[...].astype(tile.d_v.dtype)

    @pl.when(pl.program_id(2) == pl.num_programs(2) - 1)
    def _end_queries() -> None:
        tile.d_q[...] = (tile.dq[of_tile, :] * log(2)).astype(tile.d_q.dtype)


class _Rows(NamedTuple):
    """The rows of tile number `tile` of an array that is `length` long; the last tile may reach past its end."""

    size: int
    length: int
    tile: Array

    def pieces(self, size: int) -> list[pl.Slice]:
        """Cut the tile."""
        return [pl.ds(start, size) for start in range(0, self.size, size)]

    def read(self, ref: Ref, piece: pl.Slice | None = None, *, dim: int = 0) -> Array:
        """Return a piece, or all, with zeros for what lies past the array's end; rows are dimension `dim`."""
        start = 0 if piece is None else piece.start
        x: Array = ref[...] if piece is None else ref[piece, :]
        if self.length % self.size == 0:
            return x
        row = lax.broadcasted_iota(jnp.int32, x.shape, dim)
        return jnp.where(row < self.length - self.tile * self.size - start, x, jnp.zeros_like(x))


def _dot(a: Array, b: Array, dims: Any) -> Array:
    precision = lax.Precision.HIGHEST if a.dtype == jnp.float32 else lax.Precision.DEFAULT
    return lax.dot_general(a, b, dims, precision=precision, preferred_element_type=jnp.float32)


def _across(x: Array, width: int) -> Array:
    """Return x, the same in all lanes, in more or fewer of them."""
    return x[:, :width] if width < LANES else jnp.tile(x, (1, width // LANES))


def _like(x: Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(x.shape, x.dtype)


def _scratch(*shape: int) -> Any:
    return pltpu.VMEM(shape, jnp.float32)

"""Over a mesh the encoder gives what it gives on one device."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import AxisType, Mesh

from mdctl.models.umt5 import UMT5Config, UMT5Encoder
from mdctl.models.umt5.sharding import LAYOUT
from mdctl.parallel.execution import Execution
from mdctl.parallel.rules import constrain_over, parameter_shardings
from mdctl.spec.layout import AXES

CONFIG = UMT5Config(vocab_size=64, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=4)


def build(execution: Execution) -> UMT5Encoder:
    return UMT5Encoder(CONFIG, execution=execution, rngs=nnx.Rngs(0))


def test_sharded_equals_unsharded() -> None:
    shape = [{"data": 2, "fsdp": 2, "tensor": 2}.get(axis, 1) for axis in AXES]
    mesh = Mesh(np.array(jax.devices()).reshape(shape), AXES, axis_types=(AxisType.Auto,) * len(AXES))
    tokens = jnp.asarray(np.random.default_rng(0).integers(0, 64, (4, 12)), jnp.int32)
    mask = jnp.arange(12)[None] < jnp.array([12, 7, 3, 1])[:, None]

    plain = build(Execution.plain())
    params = nnx.state(plain)
    sharded_graphdef = nnx.graphdef(nnx.eval_shape(lambda: build(Execution(constrain=constrain_over(mesh)))))
    sharded = jax.device_put(params, parameter_shardings(mesh, params, LAYOUT))

    def embed(params: Any) -> Any:
        return nnx.merge(sharded_graphdef, params)(tokens, mask)

    assert sharded["block"]["feed_forward"]["wi_0"]["kernel"][...].sharding.num_devices == 8
    np.testing.assert_allclose(jax.jit(embed)(sharded), plain(tokens, mask), atol=1e-5)

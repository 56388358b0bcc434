"""Over a mesh the encoder gives what it gives on one device."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AxisType, Mesh

from mdctl.models.clip import CLIPTextConfig, CLIPTextEncoder, Encoding
from mdctl.models.clip.sharding import LAYOUT
from mdctl.parallel.blocks import scan_over
from mdctl.parallel.execution import Execution
from mdctl.parallel.remat import keep_everything
from mdctl.parallel.rules import constrain_over, parameter_shardings
from mdctl.spec.layout import AXES

CONFIG = CLIPTextConfig(
    architectures=("CLIPTextModelWithProjection",),
    vocab_size=64,
    hidden_size=16,
    intermediate_size=32,
    projection_dim=8,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=12,
    eos_token_id=2,
)


def build(execution: Execution) -> CLIPTextEncoder:
    return CLIPTextEncoder(CONFIG, execution=execution, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("by_hand", [False, True])
def test_sharded_equals_unsharded(by_hand: bool) -> None:
    shape = [{"data": 2, "fsdp": 2, "tensor": 2}.get(axis, 1) for axis in AXES]
    mesh = Mesh(np.array(jax.devices()).reshape(shape), AXES, axis_types=(AxisType.Auto,) * len(AXES))
    tokens = jnp.asarray(np.random.default_rng(0).integers(0, 64, (4, 12)), jnp.int32)
    execution = Execution(constrain=constrain_over(mesh))
    if by_hand:
        scan = scan_over(mesh, keep_everything, jnp.dtype(jnp.float32))
        execution = Execution(constrain=constrain_over(mesh), scan=scan)

    plain = build(Execution.plain())
    params = nnx.state(plain)
    sharded_graphdef = nnx.graphdef(nnx.eval_shape(lambda: build(execution)))
    sharded = jax.device_put(params, parameter_shardings(mesh, params, LAYOUT))

    def encode(params: Any) -> Encoding:
        encoding: Encoding = nnx.merge(sharded_graphdef, params)(tokens)
        return encoding

    for leaf in (sharded["layers"]["mlp"]["fc1"]["kernel"], sharded["layers"]["self_attn"]["q_proj"]["kernel"]):
        assert len({str(index) for index in leaf[...].sharding.devices_indices_map(leaf.shape).values()}) == 4
    for ours, expected in zip(jax.jit(encode)(sharded), plain(tokens), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_activations_take_their_dtype() -> None:
    encoding = build(Execution.plain(jnp.bfloat16))(jnp.zeros((1, 5), jnp.int32))
    assert {output.dtype for output in encoding} == {jnp.dtype(jnp.bfloat16)}
    assert [output.shape for output in encoding] == [(1, 5, 16), (1, 5, 16), (1, 8)]

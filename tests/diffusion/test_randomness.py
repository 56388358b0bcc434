import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from mdctl.diffusion.randomness import Stream, host_noise, row_keys, row_noise, stream_key
from mdctl.spec.shapes import LatentShape

SHAPE = LatentShape(frames=2, height=3, width=4, channels=5)
ROWS = jnp.arange(8, dtype=jnp.uint32)


def draw(rows: jax.Array) -> jax.Array:
    return row_noise(row_keys(stream_key(Stream.TRAINING, 7, 3), rows), SHAPE)


noise = jax.jit(draw)


def test_a_row_draws_the_same_in_any_batch() -> None:
    whole = noise(ROWS)
    np.testing.assert_allclose(noise(ROWS[5:6])[0], whole[5], rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(noise(ROWS[::-1]), whole[::-1])


def test_a_sharded_draw_has_the_same_values_and_sends_nothing() -> None:
    mesh = jax.make_mesh((4, 2), ("data", "tokens"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    sharded = jax.jit(
        draw,
        in_shardings=NamedSharding(mesh, PartitionSpec("data")),
        out_shardings=NamedSharding(mesh, PartitionSpec("data", None, None, "tokens")),
    )
    np.testing.assert_allclose(sharded(ROWS), noise(ROWS), rtol=1e-6, atol=1e-6)
    program = sharded.lower(ROWS).compile().as_text()
    assert program is not None
    assert not any(word in program for word in ("all-gather", "all-reduce", "all-to-all", "collective-permute"))


def test_streams_seeds_steps_and_rows_draw_apart() -> None:
    keys = [
        stream_key(Stream.TRAINING, 0, 0),
        stream_key(Stream.TRAINING, 0, 1),
        stream_key(Stream.TRAINING, 1, 0),
        stream_key(Stream.HELD_OUT, 0, 0),
    ]
    bits = {tuple(map(int, jax.random.key_data(key))) for each in keys for key in row_keys(each, ROWS)}
    assert len(bits) == len(keys) * len(ROWS)


def test_the_last_seed_and_row_are_legal() -> None:
    last = 2**32 - 1
    key = stream_key(Stream.HELD_OUT, last, last)
    assert row_noise(row_keys(key, jnp.array([last], jnp.uint32)), SHAPE).shape == (1, *SHAPE)


def test_noise_of_the_host_is_a_function_of_its_numbers() -> None:
    draws = [host_noise(indices, SHAPE) for indices in ((0, 0), (0, 1), (1, 0), (2**32 - 1, 2**32 - 1))]
    np.testing.assert_array_equal(draws[1], host_noise((0, 1), SHAPE))
    assert len({draw.tobytes() for draw in draws}) == len(draws)


def test_noise_of_the_host_is_normal() -> None:
    noise = host_noise((3, 1), LatentShape(frames=10, height=20, width=20, channels=16)).astype(np.float64)
    standard_error = noise.size**-0.5
    assert abs(noise.mean()) < 4 * standard_error
    assert abs(noise.var() - 1) < 4 * 2**0.5 * standard_error

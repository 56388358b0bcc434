import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file

from mdctl.models import weights
from mdctl.models.autoencoder_kl import AutoencoderKL, AutoencoderKLConfig
from mdctl.models.autoencoder_kl.tiling import Tiling, over_tiles
from mdctl.models.autoencoder_kl.weights import TABLE
from mdctl.models.codec import load_codec
from mdctl.parallel.execution import Execution
from mdctl.spec.shapes import PixelShape
from tests.parity.redraw import redraw

CONFIG = AutoencoderKLConfig.tiny()
PIXELS = jax.random.uniform(jax.random.key(0), (2, 1, 16, 24, 3), minval=-1.0)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    model = nnx.eval_shape(lambda: AutoencoderKL(CONFIG, execution=Execution.plain(), rngs=nnx.Rngs(0)))
    parameters = weights.bind(TABLE, nnx.state(model))
    shapes = {tensor.names[0]: tensor.shape for parameter in parameters for tensor in parameter.tensors}
    (folder / "vae").mkdir()
    save_file(redraw(shapes, seed=0), folder / "vae" / "diffusion_pytorch_model.safetensors")
    (folder / "vae" / "config.json").write_text(json.dumps(CONFIG.to_published()))
    return folder


def test_a_repository_has_it_as_its_codec(repository: Path) -> None:
    codec = load_codec(repository)
    latents = codec.encode(PIXELS)
    assert latents.shape[1:] == PixelShape(1, 16, 24).latent(codec.strides, codec.channels)
    decoded = codec.decode(50 * latents)
    assert decoded.shape == PIXELS.shape
    assert latents.dtype == decoded.dtype == jnp.float32
    assert float(jnp.abs(decoded).max()) <= 1


def test_activations_of_another_dtype_give_float32_latents_near_by(repository: Path) -> None:
    latents = load_codec(repository).encode(PIXELS)
    rough = load_codec(repository, dtype=jnp.bfloat16).encode(PIXELS)
    assert rough.dtype == jnp.float32
    assert 0 < float(jnp.abs(rough - latents).max()) < 0.05 * float(jnp.abs(latents).max())


@pytest.mark.parametrize(("height", "width"), [(64, 64), (65, 40), (32, 24), (91, 33)])
def test_tiles_of_a_network_that_sees_one_position_are_the_whole(height: int, width: int) -> None:
    x = jax.random.normal(jax.random.key(1), (1, height, width, 2))
    tiled = over_tiles(lambda tile: 2 * tile + 1, x, Tiling.of(32, 32))
    np.testing.assert_allclose(tiled, 2 * x + 1, atol=1e-5)


def test_neighbours_are_blended_from_the_one_to_the_other() -> None:
    """Each tile is one value, its own; the second begins with four rows that go from the first's to it."""
    numbers = jnp.arange(16.0)[None, :, None, None]
    tiled = over_tiles(lambda tile: jnp.full_like(tile, tile[:, :1, :1]), numbers, Tiling(16, 12, 4, 12))
    np.testing.assert_allclose(tiled[0, :, 0, 0], [0] * 12 + [0, 3, 6, 9])

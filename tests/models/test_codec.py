import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdctl.models.autoencoder_kl import AutoencoderKL, AutoencoderKLConfig
from mdctl.models.block_pca import BlockPCA, BlockPCAConfig
from mdctl.models.codec import (
    CODECS,
    WITH_POSTERIOR,
    Codec,
    CodecModel,
    as_codec,
    has_posterior,
    load_codec,
    load_codec_for,
)
from mdctl.models.wan_vae import WanVAE, WanVAEConfig
from mdctl.models.wan_vae.modeling import denormalise, normalise
from mdctl.parallel.execution import Execution
from mdctl.spec.catalogue import find_model
from mdctl.spec.errors import WeightsError
from mdctl.spec.shapes import PixelShape
from tests.data.pictures import write_vae

CONFIG = WanVAEConfig.tiny()
PIXELS = jax.random.uniform(jax.random.key(0), (1, 5, 16, 24, 3), minval=-1.0)


def build(dtype: str = "float32") -> WanVAE:
    """Return the VAE of Wan."""
    execution = Execution(dtype=jnp.dtype(dtype))
    return drawn(lambda: WanVAE(CONFIG, execution=execution, rngs=nnx.Rngs(0)))


def build_image_vae() -> AutoencoderKL:
    """Return the VAE of Flux, which has a shift as well."""
    cfg = replace(AutoencoderKLConfig.tiny(), scaling_factor=0.3611, shift_factor=0.1159)
    return drawn(lambda: AutoencoderKL(cfg, execution=Execution.plain(), rngs=nnx.Rngs(0)))


def drawn[Model: nnx.Module](make: Callable[[], Model]) -> Model:
    """Return a model whose parameters are drawn in NumPy, which is quicker than its own initialisation."""
    rng = np.random.default_rng(0)
    graphdef, params = nnx.split(nnx.eval_shape(make))

    def draw(leaf: jax.ShapeDtypeStruct) -> jax.Array:
        return jnp.asarray(rng.normal(size=leaf.shape) / prod(leaf.shape[:-1]) ** 0.5, leaf.dtype)

    return nnx.merge(graphdef, jax.tree.map(draw, params))


@pytest.fixture(scope="module")
def codec() -> Codec:
    return as_codec(build())


def test_a_codec_encodes_to_normalised_latents_and_decodes_within_bounds(codec: Codec) -> None:
    latents = codec.encode(PIXELS)
    assert latents.shape[1:] == PixelShape(5, 16, 24).latent(codec.strides, codec.channels)
    decoded = codec.decode(50 * latents)
    assert decoded.shape == PIXELS.shape
    assert latents.dtype == decoded.dtype == jnp.float32
    assert float(jnp.abs(decoded).max()) <= 1


def test_normalising_is_undone() -> None:
    latents = jax.random.normal(jax.random.key(1), (2, 3, 4, 5, CONFIG.z_dim))
    np.testing.assert_allclose(denormalise(normalise(latents, CONFIG), CONFIG), latents, atol=1e-6)
    shifted = normalise(jnp.broadcast_to(jnp.asarray(CONFIG.latents_mean), latents.shape), CONFIG)
    np.testing.assert_allclose(shifted, 0, atol=1e-7)
    one_off = jnp.asarray(CONFIG.latents_mean) + jnp.asarray(CONFIG.latents_std)
    np.testing.assert_allclose(normalise(jnp.broadcast_to(one_off, latents.shape), CONFIG), 1, atol=1e-6)


def test_a_codec_without_a_posterior_has_its_mode_as_mean(codec: Codec) -> None:
    mean, std = codec.moments(PIXELS)
    assert std is None
    np.testing.assert_allclose(mean, codec.encode(PIXELS), rtol=1e-5, atol=1e-5)


def test_activations_of_another_dtype_give_float32_latents_near_by(codec: Codec) -> None:
    latents = codec.encode(PIXELS)
    rough = as_codec(build("bfloat16")).encode(PIXELS)
    assert rough.dtype == jnp.float32
    assert 0 < float(jnp.abs(rough - latents).max()) < 0.05 * float(jnp.abs(latents).max())


def test_an_unknown_codec_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae" / "config.json").write_text(json.dumps({"_class_name": "AutoencoderTiny"}))
    with pytest.raises(WeightsError, match="AutoencoderTiny"):
        load_codec(tmp_path)


def test_a_codec_of_other_latents_than_the_models_is_refused_with_both(tmp_path: Path) -> None:
    write_vae(tmp_path)
    assert load_codec_for(find_model("sd1.5"), tmp_path, tiling=False).channels == 4
    found, wanted = "4 channels for 8 x 8 pixels", "12 channels for 4 x 4 pixels"
    with pytest.raises(WeightsError, match=f"gives latents of {found}, but those of sd-tiny are of {wanted}"):
        load_codec_for(find_model("sd-tiny"), tmp_path, tiling=False)


def test_large_pictures_are_coded_in_tiles_if_that_is_asked_for(tmp_path: Path) -> None:
    write_vae(tmp_path, replace(AutoencoderKLConfig.tiny(), sample_size=32))
    whole, tiled = load_codec(tmp_path), load_codec(tmp_path, tiling=True)
    large = jax.random.uniform(jax.random.key(0), (1, 1, 48, 32, 3), minval=-1.0)
    latents = whole.encode(large)
    assert tiled.encode(large).shape == latents.shape
    assert float(jnp.abs(tiled.encode(large) - latents).max()) > 0
    assert float(jnp.abs(tiled.decode(latents) - whole.decode(latents)).max()) > 0
    small = large[:, :, :32]
    np.testing.assert_allclose(tiled.encode(small), whole.encode(small), atol=1e-6)


def test_a_codec_without_tiles_is_refused_where_they_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae" / "config.json").write_text(json.dumps(BlockPCAConfig().to_published()))
    with pytest.raises(WeightsError, match="codec BlockPCA does not code in tiles, only AutoencoderKL"):
        load_codec(tmp_path, tiling=True)


def test_moments_are_normalised_as_latents_are() -> None:
    model = build_image_vae()
    frames = PIXELS[0, :2]
    mean, std = as_codec(model).moments(frames[None])
    assert std is not None
    latents, (means, logvars) = nnx.jit(lambda model: (model.to_latents(frames[None]), model.encode(frames)))(model)
    np.testing.assert_allclose(mean, latents, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(mean[0], (means - 0.1159) * 0.3611, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(std[0], jnp.exp(0.5 * logvars) * 0.3611, rtol=1e-4, atol=1e-6)
    assert mean.dtype == std.dtype == jnp.float32


MODELS: Mapping[str, Callable[[], CodecModel]] = {
    "AutoencoderKL": build_image_vae,
    "AutoencoderKLWan": build,
    "BlockPCA": lambda: BlockPCA(BlockPCAConfig()),
}


@pytest.mark.parametrize("name", CODECS)
def test_codecs_with_a_posterior_are_known_by_name(tmp_path: Path, name: str) -> None:
    mean, std = jax.eval_shape(as_codec(MODELS[name]()).moments, PIXELS)
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae" / "config.json").write_text(json.dumps({"_class_name": name}))
    assert (std is not None) == has_posterior(tmp_path) == (name in WITH_POSTERIOR)
    assert std is None or std.shape == mean.shape

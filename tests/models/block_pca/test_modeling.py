from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdctl.models.block_pca import BlockPCA, BlockPCAConfig, fit, load, save
from mdctl.models.codec import as_codec, load_codec
from mdctl.models.wan_vae import WanVAEConfig
from mdctl.spec.errors import WeightsError
from mdctl.spec.shapes import PixelShape

CONFIG = BlockPCAConfig()


def clips(frames: int = 9, seed: int = 0) -> np.ndarray:
    """Return smooth moving gradients with a little noise."""
    rng = np.random.default_rng(seed)
    t, h, w = np.meshgrid(np.arange(frames), np.arange(32), np.arange(40), indexing="ij")
    waves = [np.sin(a * t + b * h + c * w + d) for a, b, c, d in rng.uniform(0.05, 0.3, (9, 4))]
    videos = np.stack(waves).reshape(3, 3, frames, 32, 40).transpose(0, 2, 3, 4, 1)
    return (0.8 * videos + 0.02 * rng.normal(size=videos.shape)).astype(np.float32)


CLIPS = clips()


@pytest.fixture(scope="module")
def model() -> BlockPCA:
    return fit(CLIPS, CONFIG)


def test_the_geometry_is_that_of_wan() -> None:
    wan = WanVAEConfig.wan21()
    assert (CONFIG.strides, CONFIG.latent_channels) == (wan.strides, wan.z_dim)


@pytest.mark.parametrize("frames", [1, 5, 9])
def test_shapes(model: BlockPCA, frames: int) -> None:
    codec = as_codec(model)
    latents = codec.encode(jnp.asarray(CLIPS[:, :frames]))
    assert latents.shape[1:] == PixelShape(frames, 32, 40).latent(codec.strides, codec.channels)
    assert codec.decode(latents).shape == CLIPS[:, :frames].shape


def test_directions_are_orthonormal(model: BlockPCA) -> None:
    for basis in (model.first, model.rest):
        np.testing.assert_allclose(basis.directions[...].T @ basis.directions[...], np.eye(16), atol=1e-6)


def test_latents_have_unit_variance(model: BlockPCA) -> None:
    latents = model.to_latents(jnp.asarray(CLIPS))
    np.testing.assert_allclose(jnp.std(latents), 1, rtol=1e-4)


def test_whitened_each_channel_has_unit_variance() -> None:
    latents = fit(CLIPS, CONFIG, whiten=True).to_latents(jnp.asarray(CLIPS))
    np.testing.assert_allclose(jnp.std(latents, axis=(0, 1, 2, 3)), 1, rtol=1e-4)


def test_whitened_a_channel_that_does_not_vary_stays_quiet() -> None:
    plain = np.broadcast_to(CLIPS.mean(axis=(2, 3), keepdims=True), CLIPS.shape)
    codec = fit(plain, CONFIG, whiten=True)
    latents = codec.to_latents(jnp.asarray(plain))
    assert float(jnp.std(latents[..., 0])) == pytest.approx(1, abs=0.01)
    assert float(jnp.abs(latents[..., -1]).max()) < 1e-2
    np.testing.assert_allclose(codec.to_pixels(latents), plain, atol=1e-5)


def test_decoding_is_the_nearest_that_its_latents_can_do(model: BlockPCA) -> None:
    decoded = model.to_pixels(model.to_latents(jnp.asarray(CLIPS)))
    assert float(jnp.abs(decoded - CLIPS).mean()) < 0.03
    np.testing.assert_allclose(model.to_pixels(model.to_latents(decoded)), decoded, atol=1e-5)


def test_no_other_directions_lose_less(model: BlockPCA) -> None:
    def loss(model: BlockPCA) -> float:
        return float(jnp.square(model.to_pixels(model.to_latents(jnp.asarray(CLIPS))) - CLIPS).mean())

    other = nnx.clone(model)
    turned = np.array(other.rest.directions[...])
    turned[:, -1] = np.random.default_rng(1).normal(size=len(turned))
    other.rest.directions[...] = jnp.linalg.qr(jnp.asarray(turned))[0]
    assert loss(other) > 1.01 * loss(model)


def test_the_first_latent_sees_the_first_frame_only(model: BlockPCA) -> None:
    other = CLIPS.copy()
    other[:, 1:] = 0
    ours, theirs = (model.to_latents(jnp.asarray(pixels)) for pixels in (CLIPS, other))
    assert np.array_equal(ours[:, 0], theirs[:, 0])
    assert not np.array_equal(ours[:, 1], theirs[:, 1])


def test_decoded_pixels_are_clamped(model: BlockPCA) -> None:
    latents = 30 * jax.random.normal(jax.random.key(0), (1, 3, 4, 5, 16))
    assert float(jnp.abs(model.to_pixels(latents)).max()) > 1
    assert float(jnp.abs(as_codec(model).decode(latents)).max()) == 1


def test_a_fitted_codec_is_saved_and_loaded(model: BlockPCA, tmp_path: Path) -> None:
    save(model, tmp_path / "vae")
    latents = as_codec(model).encode(jnp.asarray(CLIPS))
    assert np.array_equal(load_codec(tmp_path).encode(jnp.asarray(CLIPS)), latents)


def test_the_same_clips_give_the_same_codec(model: BlockPCA) -> None:
    again = fit(CLIPS, CONFIG)
    for ours, theirs in zip(jax.tree.leaves(nnx.state(model)), jax.tree.leaves(nnx.state(again)), strict=True):
        assert np.array_equal(ours, theirs)


def test_a_setting_that_is_not_known_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"_class_name": "BlockPCA", "rotation": true}')
    with pytest.raises(WeightsError, match="rotation"):
        load(tmp_path)


@pytest.mark.parametrize("frames", [1, 3])
def test_where_a_latent_spans_one_frame_all_blocks_are_of_one_kind(frames: int, tmp_path: Path) -> None:
    pictures = clips(frames)
    model = fit(pictures, BlockPCAConfig(temporal_stride=1, spatial_stride=4, latent_channels=12))
    latents = model.to_latents(jnp.asarray(pictures))
    assert latents.shape == (3, frames, 8, 10, 12)
    assert float(jnp.std(latents)) == pytest.approx(1, abs=1e-3)
    np.testing.assert_array_equal(model.first.directions[...], model.rest.directions[...])
    assert float(jnp.abs(model.to_pixels(latents) - pictures).max()) < 0.2
    save(model, tmp_path)
    np.testing.assert_array_equal(load(tmp_path).to_latents(jnp.asarray(pictures)), latents)

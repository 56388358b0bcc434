"""The VAE against diffusers', every parameter drawn anew, in float32, whole and in tiles; and mutants, none of which
pass.
"""

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from einops import rearrange
from flax import nnx
from safetensors.numpy import load_file, save_file

from mdctl.models import weights
from mdctl.models.autoencoder_kl import AutoencoderKL, AutoencoderKLConfig, load, tiling
from mdctl.models.autoencoder_kl.layers import Image
from mdctl.models.autoencoder_kl.weights import TABLE
from tests.parity.arrays import DATA, distance, reference
from tests.parity.redraw import redraw
from tests.parity.tolerances import LAYER, MODEL

ARRAYS = reference("autoencoder_kl")
IMAGES = ("sd/small", "flux/small", "sd/large")

LAYERS: Mapping[str, Callable[[AutoencoderKL], Any]] = {
    "encoder.down_blocks.0.downsamplers.0": lambda vae: vae.encoder.down_blocks[0].downsampler,
    "encoder.down_blocks.1.resnets.0": lambda vae: vae.encoder.down_blocks[1].resnets[0],
    "encoder.mid_block.attentions.0": lambda vae: vae.encoder.mid_block.attention,
    "decoder.up_blocks.0.upsamplers.0": lambda vae: vae.decoder.up_blocks[0].upsample,
    "norm": lambda vae: vae.decoder.conv_norm_out,
}


@cache
def vae(name: str, *, tiled: bool = False) -> AutoencoderKL:
    with TemporaryDirectory() as place:
        folder = Path(place)
        drawn = redraw(json.loads(str(ARRAYS[f"{name}/shapes"])), seed=1)
        save_file(drawn, folder / "diffusion_pytorch_model.safetensors")
        (folder / "config.json").write_text(str(ARRAYS[f"{name}/config"]))
        return load(folder, tiling=tiled)


def run(call: Callable[[Any, jax.Array], Any], model: nnx.Module, x: np.ndarray) -> Any:
    """Call a model jitted, as jobs do."""
    graphdef, params = nnx.split(model)
    return jax.jit(lambda params, x: call(nnx.merge(graphdef, params), x))(params, jnp.asarray(x))


def of(image: str) -> AutoencoderKL:
    """Return the VAE for an image: tiles are for large ones, and change nothing for others."""
    return vae(image.split("/", maxsplit=1)[0], tiled=image != "flux/small")


def distance_of_encoder(image: str) -> float:
    moments = run(AutoencoderKL.encode, of(image), ARRAYS[f"{image}/pixels"])
    return max(
        distance(ours, ARRAYS[f"{image}/{name}"]) for ours, name in zip(moments, ("mean", "logvar"), strict=True)
    )


def distance_of_decoder(image: str) -> float:
    return distance(run(AutoencoderKL.decode, of(image), ARRAYS[f"{image}/latents"]), ARRAYS[f"{image}/decoded"])


def distance_of_layer(name: str) -> float:
    layer = LAYERS[name](vae("sd"))
    return distance(layer(jnp.asarray(ARRAYS[f"sd/{name}/in"])), ARRAYS[f"sd/{name}/out"])


@pytest.mark.parametrize("image", IMAGES)
def test_encode(image: str) -> None:
    far = distance_of_encoder(image)
    assert far < MODEL


@pytest.mark.parametrize("image", IMAGES)
def test_decode(image: str) -> None:
    far = distance_of_decoder(image)
    assert far < MODEL


@pytest.mark.parametrize("image", ["sd/small", "flux/small"])
def test_latents_are_normalised_and_restored(image: str) -> None:
    frames = rearrange(ARRAYS[f"{image}/pixels"], "b h w c -> 1 b h w c")
    latents = run(AutoencoderKL.to_latents, of(image), frames)
    assert distance(latents[0], ARRAYS[f"{image}/normalised"]) < MODEL
    images = rearrange(ARRAYS[f"{image}/latents"], "b h w c -> b 1 h w c")
    pixels = run(AutoencoderKL.to_pixels, of(image), images)
    assert distance(pixels[:, 0], ARRAYS[f"{image}/restored"]) < MODEL


def test_a_log_variance_is_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AutoencoderKL, "_moments", lambda self, x: jnp.tile(100 * x[..., :1], 8))
    mean, logvar = vae("sd").encode(jnp.asarray([-1.0, 1.0]).reshape(1, 1, 2, 1).repeat(3, axis=-1))
    assert (float(mean.min()), float(mean.max())) == (-100, 100)
    assert (float(logvar.min()), float(logvar.max())) == (-30, 20)


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name: str) -> None:
    far = distance_of_layer(name)
    assert far < LAYER


# Mutants: what is subtly wrong must be found.


def test_another_epsilon_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vae("sd").decoder.conv_norm_out, "eps", 1e-5)
    assert distance_of_layer("norm") > 100 * LAYER


def test_query_for_key_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    attention = vae("sd").encoder.mid_block.attention
    query, key = attention.to_q, attention.to_k
    monkeypatch.setattr(attention, "to_q", key)
    monkeypatch.setattr(attention, "to_k", query)
    assert distance_of_layer("encoder.mid_block.attentions.0") > 100 * LAYER


@pytest.mark.parametrize("padding", [((1, 1), (1, 1)), ((1, 0), (1, 0))])
def test_zeros_on_the_other_side_of_an_image_are_found(padding: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vae("sd").encoder.down_blocks[0].downsampler, "padding", padding)
    assert distance_of_layer("encoder.down_blocks.0.downsamplers.0") > 100 * LAYER


def without_tiles() -> float:
    model = vae("sd")
    return distance(run(AutoencoderKL.decode, model, ARRAYS["sd/large/latents"]), ARRAYS["sd/large/decoded"])


def test_a_large_image_in_one_piece_is_found() -> None:
    assert without_tiles() > 100 * MODEL


def test_a_blend_that_begins_with_the_tile_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    blend = tiling.blend

    def later(before: Image, tile: Image, extent: int, dim: int) -> Image:
        shifted = jnp.roll(before, 1, axis=dim)
        return blend(shifted, tile, extent, dim=dim)

    monkeypatch.setattr(tiling, "blend", later)
    assert distance_of_decoder("sd/large") > 100 * MODEL


@pytest.mark.parametrize("folder", ["autoencoder_kl_single", "autoencoder_kl_sharded"])
def test_folders_that_diffusers_wrote_are_loaded(folder: str, tmp_path: Path) -> None:
    cfg = AutoencoderKLConfig.from_published(weights.read_config(DATA / folder))
    weights.save(TABLE, nnx.state(load(DATA / folder)), tmp_path / "again", config=cfg.to_published())
    written = load_file(tmp_path / "again" / "diffusion_pytorch_model.safetensors")
    drawn = redraw({name: value.shape for name, value in written.items()}, seed=1)
    assert all(np.array_equal(written[name], drawn[name]) for name in drawn)

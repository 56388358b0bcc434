"""The VAE against diffusers', every parameter drawn anew, in float32; and chunk by chunk against all at once."""

import json
from collections.abc import Callable
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
from safetensors.numpy import save_file

from mdctl.models.wan_vae import WanVAE, layers, load
from mdctl.models.wan_vae.layers import CausalConv, ChannelNorm, Downsample, Upsample, Video
from tests.parity.arrays import distance, reference
from tests.parity.redraw import redraw
from tests.parity.tolerances import LAYER, MODEL

ARRAYS = reference("wan_vae")
MOMENTS = np.concatenate([ARRAYS["mean"], ARRAYS["logvar"]], axis=-1)


@cache
def vae() -> WanVAE:
    with TemporaryDirectory() as name:
        folder = Path(name)
        save_file(redraw(json.loads(str(ARRAYS["shapes"])), seed=1), folder / "diffusion_pytorch_model.safetensors")
        (folder / "config.json").write_text(str(ARRAYS["config"]))
        return load(folder)


def run(call: Callable[[Any, jax.Array], Any], model: nnx.Module, x: np.ndarray) -> Any:
    """Call a model jitted, as jobs do."""
    graphdef, params = nnx.split(model)
    return jax.jit(lambda params, x: call(nnx.merge(graphdef, params), x))(params, jnp.asarray(x))


def num_latents(frames: int) -> int:
    return (frames - 1) // 4 + 1


@cache
def encoded(frames: int) -> np.ndarray:
    return np.concatenate(run(WanVAE.encode, vae(), ARRAYS["pixels"][:, :frames]), axis=-1)


@cache
def decoded(frames: int) -> np.ndarray:
    return np.asarray(run(WanVAE.decode, vae(), ARRAYS["latents"][:, : num_latents(frames)]))


@pytest.mark.parametrize("frames", [1, 17])
def test_encode(frames: int) -> None:
    assert distance(encoded(frames), MOMENTS[:, : num_latents(frames)]) < MODEL


@pytest.mark.parametrize("frames", [1, 5, 17])
def test_decode_before_the_clamp(frames: int) -> None:
    assert distance(decoded(frames), ARRAYS["decoded"][:, :frames]) < MODEL


def test_the_reference_would_have_been_clamped() -> None:
    assert np.abs(ARRAYS["decoded"]).max() > 1


# All at once: convolutions without a past stand zeros before the video by themselves; what treats the first frame
# otherwise is written out here.


def downsample_at_once(self: Downsample, x: Video, past: None) -> tuple[Video, tuple[()]]:
    x = self.resample(x)
    return x if self.time_conv is None else jnp.concatenate([x[:, :1], self.time_conv(x)], axis=1), ()


def upsample_at_once(self: Upsample, x: Video, past: None) -> tuple[Video, tuple[()]]:
    if self.time_conv is not None:
        pairs, _ = self.time_conv(x[:, 1:], None)
        x = jnp.concatenate([x[:, :1], rearrange(pairs, "b t h w (two c) -> b (t two) h w c", two=2)], axis=1)
    return self.resample(jnp.repeat(jnp.repeat(x, 2, axis=2), 2, axis=3)), ()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Downsample, "__call__", downsample_at_once)
    monkeypatch.setattr(Upsample, "__call__", upsample_at_once)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("frames", [1, 5, 17])
def test_decoding_frame_by_frame_is_decoding_at_once(frames: int) -> None:
    x = ARRAYS["latents"][:, : num_latents(frames)]
    whole = run(lambda vae, x: vae.decoder(vae.post_quant_conv(x), None)[0], vae(), x)
    assert distance(decoded(frames), whole) < MODEL


@pytest.mark.usefixtures("at_once")
def test_encoding_chunk_by_chunk_is_encoding_at_once() -> None:
    whole = run(lambda vae, x: vae.quant_conv(vae.encoder(x, None)[0]), vae(), ARRAYS["pixels"])
    assert distance(encoded(17), whole) < MODEL


LAYERS: dict[str, Callable[[WanVAE], Any]] = {
    "encoder.down_blocks.3": lambda vae: vae.encoder.down_blocks[3],
    "encoder.down_blocks.4": lambda vae: vae.encoder.down_blocks[4],
    "decoder.up_blocks.0.upsamplers.0": lambda vae: vae.decoder.up_blocks[0].upsampler,
    "decoder.up_blocks.2.resnets.1": lambda vae: vae.decoder.up_blocks[2].resnets[1],
}


def distance_of_layer(name: str) -> float:
    """Run the first frame, then all the others as one chunk."""
    layer, x = LAYERS[name](vae()), jnp.asarray(ARRAYS[f"{name}/in"])
    first, past = layer(x[:, :1], None)
    rest, _ = layer(x[:, 1:], past)
    return distance(jnp.concatenate([first, rest], axis=1), ARRAYS[f"{name}/out"])


@pytest.mark.parametrize("name", LAYERS)
def test_layer_with_a_past(name: str) -> None:
    assert distance_of_layer(name) < LAYER


def test_attention_within_frames() -> None:
    name = "encoder.mid_block.attentions.0"
    out = vae().encoder.mid_block.attention(jnp.asarray(ARRAYS[f"{name}/in"]))
    assert distance(out, ARRAYS[f"{name}/out"]) < LAYER


def distance_of_norm() -> float:
    return distance(vae().decoder.norm_out(jnp.asarray(ARRAYS["norm/in"])), ARRAYS["norm/out"])


def test_norm_from_loud_to_quiet() -> None:
    assert distance_of_norm() < LAYER


# Mutants: what is subtly wrong must be found.


def test_an_epsilon_in_the_norm_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_epsilon(self: ChannelNorm, x: Video) -> Video:
        return x * jax.lax.rsqrt(jnp.mean(x**2, -1, keepdims=True) + 1e-6) * self.gamma[...][None, None, None, None]

    monkeypatch.setattr(ChannelNorm, "__call__", with_epsilon)
    assert distance_of_norm() > 100 * LAYER


def test_padding_on_both_sides_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def centred(self: CausalConv, x: Video, past: None) -> tuple[Video, tuple[()]]:
        around = jnp.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0), (0, 0)))
        return nnx.Conv.__call__(self, around), ()

    monkeypatch.setattr(CausalConv, "__call__", centred)
    assert distance_of_layer("encoder.down_blocks.4") > 100 * LAYER


def test_a_past_of_repeated_frames_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CausalConv, "zeros", lambda self, x: jnp.repeat(x[:, :1], self.memory, axis=1))
    assert distance_of_layer("encoder.down_blocks.4") > 100 * LAYER


def test_upsampling_that_remembers_the_first_frame_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CausalConv, "zeros", lambda self, x: jnp.concatenate([jnp.zeros_like(x), x], axis=1))
    assert distance_of_layer("decoder.up_blocks.0.upsamplers.0") > 100 * LAYER


def test_frames_interleaved_otherwise_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def swapped(x: jax.Array, pattern: str, **sizes: int) -> jax.Array:
        return rearrange(x, pattern.replace("(two c)", "(c two)"), **sizes)

    monkeypatch.setattr(layers, "rearrange", swapped)
    assert distance_of_layer("decoder.up_blocks.0.upsamplers.0") > 100 * LAYER


def test_zeros_on_the_other_side_of_a_frame_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    downsample = vae().encoder.down_blocks[3]
    assert isinstance(downsample, Downsample)
    monkeypatch.setattr(downsample.resample, "padding", ((1, 0), (1, 0)))
    assert distance_of_layer("encoder.down_blocks.3") > 100 * LAYER

"""The Wan 2.1 video VAE: causal in time, so that a video is coded chunk by chunk with bounded memory.

Every layer is called as `layer(x, past) -> (x, past)`: `past` holds the few frames that the layer must remember of what
came before, and is None before the first frame, which is coded alone. A convolution over three frames remembers two,
zeros at the start. Downsampling time lets the first frame through and remembers the last one. Upsampling time lets the
first frame through as well, and then starts as if nothing had come before. So 1 + 4n frames become 1 + n latents, and
how the frames after the first are cut into chunks changes nothing.

Letters: B batch, T frames, H height, W width, C channels; t h w the same of latents. Activations are channels last.
"""

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Float

from mdctl.models.wan_vae.config import WanVAEConfig
from mdctl.models.wan_vae.layers import (
    CausalConv,
    ChannelNorm,
    Downsample,
    Layer,
    MidBlock,
    Past,
    ResidualBlock,
    UpBlock,
    Upsample,
    Video,
    in_turn,
    pointwise,
)
from mdctl.parallel.execution import Execution
from mdctl.spec.shapes import Strides


class WanVAE(nnx.Module):
    """Encoder and decoder between pixels in [-1, 1] and latents."""

    def __init__(self, cfg: WanVAEConfig, *, execution: Execution, rngs: nnx.Rngs) -> None:
        self.cfg, self.dtype = cfg, execution.dtype
        self.encoder = Encoder(cfg, execution=execution, rngs=rngs)
        self.quant_conv = pointwise(2 * cfg.z_dim, 2 * cfg.z_dim, execution=execution, rngs=rngs)
        self.post_quant_conv = pointwise(cfg.z_dim, cfg.z_dim, execution=execution, rngs=rngs)
        self.decoder = Decoder(cfg, execution=execution, rngs=rngs)

    @property
    def strides(self) -> Strides:
        """Return the pixels that one latent spans."""
        return self.cfg.strides

    @property
    def channels(self) -> int:
        """Return the channels of a latent."""
        return self.cfg.z_dim

    def encode(
        self, pixels_BTHWC: Float[Array, "B T H W 3"]
    ) -> tuple[Float[Array, "B t h w C"], Float[Array, "B t h w C"]]:
        """Return mean and log variance of the posterior, float32; T is 1 + r n."""
        x = over_time(self.encoder, pixels_BTHWC.astype(self.dtype), self.strides.temporal)
        mean, logvar = jnp.split(self.quant_conv(x).astype(jnp.float32), 2, axis=-1)
        return mean, jnp.clip(logvar, -30.0, 20.0)

    def decode(self, latents_BTHWC: Float[Array, "B t h w C"]) -> Float[Array, "B T H W 3"]:
        """Return pixels before the clamp, float32."""
        x = self.post_quant_conv(latents_BTHWC.astype(self.dtype))
        return over_time(self.decoder, x, 1).astype(jnp.float32)

    def to_latents(self, pixels_BTHWC: Float[Array, "B T H W 3"]) -> Float[Array, "B t h w C"]:
        """Encode to the mode of the posterior, normalised, float32."""
        mean, _ = self.encode(pixels_BTHWC)
        return normalise(mean, self.cfg)

    def to_pixels(self, latents_BTHWC: Float[Array, "B t h w C"]) -> Float[Array, "B T H W 3"]:
        """Decode normalised latents to pixels before the clamp, float32."""
        return self.decode(denormalise(latents_BTHWC, self.cfg))


def normalise(latents: Float[Array, "B t h w C"], cfg: WanVAEConfig) -> Float[Array, "B t h w C"]:
    """Bring each channel to the mean and variance that the transformer works with, in float32."""
    mean, std = _statistics(cfg)
    return (latents.astype(jnp.float32) - mean) / std


def denormalise(latents: Float[Array, "B t h w C"], cfg: WanVAEConfig) -> Float[Array, "B t h w C"]:
    """Undo `normalise`, in float32."""
    mean, std = _statistics(cfg)
    return latents.astype(jnp.float32) * std + mean


def _statistics(cfg: WanVAEConfig) -> tuple[Float[Array, "1 1 1 1 C"], Float[Array, "1 1 1 1 C"]]:
    mean, std = (jnp.asarray(values, jnp.float32) for values in (cfg.latents_mean, cfg.latents_std))
    return rearrange(mean, "c -> 1 1 1 1 c"), rearrange(std, "c -> 1 1 1 1 c")


def over_time(network: Layer, x_BTHWC: Video, chunk: int) -> Video:
    """Run the first frame alone, then scan over chunks of `chunk` frames with what the network remembers as carry."""
    first, past = network(x_BTHWC[:, :1], None)
    if x_BTHWC.shape[1] == 1:
        return first

    def step(past: Past, frames: Video) -> tuple[Past, Video]:
        out, past = network(frames, past)
        return past, out

    chunks = rearrange(x_BTHWC[:, 1:], "b (n t) h w c -> n b t h w c", t=chunk)
    _, rest = jax.lax.scan(step, past, chunks)
    return jnp.concatenate([first, rearrange(rest, "n b t h w c -> b (n t) h w c")], axis=1)


class Encoder(nnx.Module):
    """Pixels to the moments of the posterior, from wide frames to deep ones."""

    def __init__(self, cfg: WanVAEConfig, *, execution: Execution, rngs: nnx.Rngs) -> None:
        dims = [cfg.base_dim * mult for mult in cfg.dim_mult]
        self.conv_in = CausalConv(3, dims[0], (3, 3, 3), execution=execution, rngs=rngs)
        self.down_blocks: nnx.List[ResidualBlock | Downsample] = nnx.List()
        in_dim = dims[0]
        for dim, temporal in zip(dims, (*cfg.temporal_downsample, None), strict=True):
            for _ in range(cfg.num_res_blocks):
                self.down_blocks.append(ResidualBlock(in_dim, dim, execution=execution, rngs=rngs))
                in_dim = dim
            if temporal is not None:
                self.down_blocks.append(Downsample(dim, temporal=temporal, execution=execution, rngs=rngs))
        self.mid_block = MidBlock(in_dim, execution=execution, rngs=rngs)
        self.norm_out = ChannelNorm(in_dim, execution=execution, rngs=rngs)
        self.conv_out = CausalConv(in_dim, 2 * cfg.z_dim, (3, 3, 3), execution=execution, rngs=rngs)

    def __call__(self, x: Video, past: Past) -> tuple[Video, Past]:
        """Encode one chunk."""
        past_in, past_down, past_mid, past_out = past or (None,) * 4
        x, past_in = self.conv_in(x, past_in)
        x, past_down = in_turn(self.down_blocks, x, past_down)
        x, past_mid = self.mid_block(x, past_mid)
        x, past_out = self.conv_out(nnx.silu(self.norm_out(x)), past_out)
        return x, (past_in, past_down, past_mid, past_out)


class Decoder(nnx.Module):
    """Latents to pixels, from deep frames to wide ones."""

    def __init__(self, cfg: WanVAEConfig, *, execution: Execution, rngs: nnx.Rngs) -> None:
        dims = [cfg.base_dim * mult for mult in reversed(cfg.dim_mult)]
        self.conv_in = CausalConv(cfg.z_dim, dims[0], (3, 3, 3), execution=execution, rngs=rngs)
        self.mid_block = MidBlock(dims[0], execution=execution, rngs=rngs)
        self.up_blocks: nnx.List[UpBlock] = nnx.List()
        in_dim = dims[0]
        for dim, temporal in zip(dims, (*reversed(cfg.temporal_downsample), None), strict=True):
            upsampler = None if temporal is None else Upsample(dim, temporal=temporal, execution=execution, rngs=rngs)
            num_resnets = cfg.num_res_blocks + 1
            self.up_blocks.append(UpBlock(in_dim, dim, num_resnets, upsampler, execution=execution, rngs=rngs))
            in_dim = dim // 2
        self.norm_out = ChannelNorm(dims[-1], execution=execution, rngs=rngs)
        self.conv_out = CausalConv(dims[-1], 3, (3, 3, 3), execution=execution, rngs=rngs)

    def __call__(self, x: Video, past: Past) -> tuple[Video, Past]:
        """Decode one chunk."""
        past_in, past_mid, past_up, past_out = past or (None,) * 4
        x, past_in = self.conv_in(x, past_in)
        x, past_mid = self.mid_block(x, past_mid)
        x, past_up = in_turn(self.up_blocks, x, past_up)
        x, past_out = self.conv_out(nnx.silu(self.norm_out(x)), past_out)
        return x, (past_in, past_mid, past_up, past_out)

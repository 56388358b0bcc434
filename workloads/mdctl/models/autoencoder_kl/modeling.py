"""The image VAE of Stable Diffusion, SDXL and Flux: pixels to the moments of a Gaussian over latents, and back.

The encoder gives mean and log variance of each latent, and denoisers work with normalised draws or their mode,

    z = (mean + std noise - shift_factor) scaling_factor                    (1)

Letters: B batch, T frames, H height, W width, C channels; t h w the same of latents. A video is so many images.

Source: Latent Diffusion (arXiv 2112.10752, section 3.1 and appendix D.1), and the published weights.
"""

from collections.abc import Callable

import jax.numpy as jnp
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Float

from mdctl.models.autoencoder_kl.config import AutoencoderKLConfig
from mdctl.models.autoencoder_kl.layers import DownBlock, GroupNorm, Image, MidBlock, UpBlock, conv_3x3, pointwise
from mdctl.models.autoencoder_kl.tiling import Tiling, over_tiles
from mdctl.parallel.execution import Execution
from mdctl.spec.shapes import Strides


class AutoencoderKL(nnx.Module):
    """Encoder and decoder between pixels in [-1, 1] and latents; with `tiling`, large images are coded in tiles."""

    def __init__(self, cfg: AutoencoderKLConfig, *, tiling: bool = False, execution: Execution, rngs: nnx.Rngs) -> None:
        self.cfg, self.tiling, self.dtype = cfg, tiling, execution.dtype
        channels = cfg.latent_channels
        self.encoder = Encoder(cfg, execution=execution, rngs=rngs)
        # None where the published model goes without.
        self.quant_conv = (
            pointwise(2 * channels, 2 * channels, execution=execution, rngs=rngs) if cfg.use_quant_conv else None
        )
        self.post_quant_conv = (
            pointwise(channels, channels, execution=execution, rngs=rngs) if cfg.use_post_quant_conv else None
        )
        self.decoder = Decoder(cfg, execution=execution, rngs=rngs)

    @property
    def strides(self) -> Strides:
        """Return the pixels that one latent spans."""
        return self.cfg.strides

    @property
    def channels(self) -> int:
        """Return the channels of a latent."""
        return self.cfg.latent_channels

    def encode(self, pixels_BHWC: Float[Array, "B H W 3"]) -> tuple[Float[Array, "B h w C"], Float[Array, "B h w C"]]:
        """Return mean and log variance of the posterior, float32."""
        side = self.cfg.sample_size
        x = self._code(self._moments, pixels_BHWC, Tiling.of(side, side // self.strides.height))
        mean, logvar = jnp.split(x, 2, axis=-1)
        return mean, jnp.clip(logvar, -30.0, 20.0)

    def decode(self, latents_BHWC: Float[Array, "B h w C"]) -> Float[Array, "B H W 3"]:
        """Return pixels before the clamp, float32."""
        side = self.cfg.sample_size
        return self._code(self._pixels, latents_BHWC, Tiling.of(side // self.strides.height, side))

    def to_latents(self, pixels_BTHWC: Float[Array, "B T H W 3"]) -> Float[Array, "B T h w C"]:
        """Encode each frame to the mode of the posterior, normalised by (1), float32."""
        mean, _ = self.to_moments(pixels_BTHWC)
        return mean

    def to_moments(
        self, pixels_BTHWC: Float[Array, "B T H W 3"]
    ) -> tuple[Float[Array, "B T h w C"], Float[Array, "B T h w C"]]:
        """Encode each frame to mean and standard deviation of the posterior, normalised by (1), float32."""
        mean, logvar = self.encode(rearrange(pixels_BTHWC, "b t h w c -> (b t) h w c"))
        mean = (mean - self.cfg.shift_factor) * self.cfg.scaling_factor
        moments = jnp.stack([mean, jnp.exp(logvar / 2) * self.cfg.scaling_factor])
        mean, std = rearrange(moments, "moment (b t) h w c -> moment b t h w c", t=pixels_BTHWC.shape[1])
        return mean, std

    def to_pixels(self, latents_BTHWC: Float[Array, "B T h w C"]) -> Float[Array, "B T H W 3"]:
        """Undo (1) and decode each frame to pixels before the clamp, float32."""
        latents = latents_BTHWC.astype(jnp.float32) / self.cfg.scaling_factor + self.cfg.shift_factor
        pixels = self.decode(rearrange(latents, "b t h w c -> (b t) h w c"))
        return rearrange(pixels, "(b t) h w c -> b t h w c", t=latents_BTHWC.shape[1])

    def _code(self, network: Callable[[Image], Image], x: Image, tiling: Tiling) -> Image:
        """Run one direction, in tiles if they are asked for and the image is larger than one."""
        return over_tiles(network, x, tiling) if self.tiling and max(x.shape[1:3]) > tiling.size else network(x)

    def _moments(self, pixels: Image) -> Image:
        x = self.encoder(pixels.astype(self.dtype))
        return (x if self.quant_conv is None else self.quant_conv(x)).astype(jnp.float32)

    def _pixels(self, latents: Image) -> Image:
        x = latents.astype(self.dtype)
        return self.decoder(x if self.post_quant_conv is None else self.post_quant_conv(x)).astype(jnp.float32)


class Encoder(nnx.Module):
    """Pixels to the moments of the posterior, from wide images to deep ones."""

    def __init__(self, cfg: AutoencoderKLConfig, *, execution: Execution, rngs: nnx.Rngs) -> None:
        groups, deepest = cfg.norm_num_groups, cfg.block_out_channels[-1]
        self.conv_in = conv_3x3(3, cfg.block_out_channels[0], execution=execution, rngs=rngs)
        self.down_blocks: nnx.List[DownBlock] = nnx.List()
        in_dim = cfg.block_out_channels[0]
        for level, dim in enumerate(cfg.block_out_channels, start=1):
            dims, last = [in_dim] + [dim] * cfg.layers_per_block, level == len(cfg.block_out_channels)
            self.down_blocks.append(DownBlock(dims, groups, downsample=not last, execution=execution, rngs=rngs))
            in_dim = dim
        self.mid_block = MidBlock(deepest, groups, execution=execution, rngs=rngs)
        self.conv_norm_out = GroupNorm(deepest, groups, execution=execution)
        self.conv_out = conv_3x3(deepest, 2 * cfg.latent_channels, execution=execution, rngs=rngs)

    def __call__(self, x: Image) -> Image:
        """Encode images."""
        x = self.conv_in(x)
        for block in self.down_blocks:
            x = block(x)
        x = self.mid_block(x)
        return self.conv_out(nnx.silu(self.conv_norm_out(x)))


class Decoder(nnx.Module):
    """Latents to pixels, from deep images to wide ones."""

    def __init__(self, cfg: AutoencoderKLConfig, *, execution: Execution, rngs: nnx.Rngs) -> None:
        groups, widest = cfg.norm_num_groups, cfg.block_out_channels[0]
        in_dim = cfg.block_out_channels[-1]
        self.conv_in = conv_3x3(cfg.latent_channels, in_dim, execution=execution, rngs=rngs)
        self.mid_block = MidBlock(in_dim, groups, execution=execution, rngs=rngs)
        self.up_blocks: nnx.List[UpBlock] = nnx.List()
        for level, dim in enumerate(reversed(cfg.block_out_channels), start=1):
            dims, last = [in_dim] + [dim] * (cfg.layers_per_block + 1), level == len(cfg.block_out_channels)
            self.up_blocks.append(UpBlock(dims, groups, upsample=not last, execution=execution, rngs=rngs))
            in_dim = dim
        self.conv_norm_out = GroupNorm(widest, groups, execution=execution)
        self.conv_out = conv_3x3(widest, 3, execution=execution, rngs=rngs)

    def __call__(self, x: Image) -> Image:
        """Decode latents."""
        x = self.conv_in(x)
        x = self.mid_block(x)
        for block in self.up_blocks:
            x = block(x)
        return self.conv_out(nnx.silu(self.conv_norm_out(x)))

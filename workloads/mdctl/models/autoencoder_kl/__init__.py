"""The image VAE of Stable Diffusion, SDXL and Flux."""

from mdctl.models.autoencoder_kl.config import AutoencoderKLConfig
from mdctl.models.autoencoder_kl.modeling import AutoencoderKL
from mdctl.models.autoencoder_kl.weights import load

__all__ = ["AutoencoderKL", "AutoencoderKLConfig", "load"]

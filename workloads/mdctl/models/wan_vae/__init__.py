"""The Wan 2.1 video VAE."""

from mdctl.models.wan_vae.config import WanVAEConfig
from mdctl.models.wan_vae.modeling import WanVAE
from mdctl.models.wan_vae.weights import load

__all__ = ["WanVAE", "WanVAEConfig", "load"]

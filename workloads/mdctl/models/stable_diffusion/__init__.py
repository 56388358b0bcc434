"""The family of Stable Diffusion: UNet, CLIP and AutoencoderKL as one value."""

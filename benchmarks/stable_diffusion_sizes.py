"""What both sides of benchmarks/stable_diffusion.py compute: sides of the latents, and how many of them."""

from collections.abc import Mapping

SIDES: Mapping[str, Mapping[str, int]] = {
    "cpu": {"sd15": 64, "sdxl": 64, "train": 32, "vae": 64},
    "gpu": {"sd15": 64, "sdxl": 128, "train": 64},
}
BATCH = {"cpu": 2, "gpu": 8}
"""With guidance, half of it are pictures."""

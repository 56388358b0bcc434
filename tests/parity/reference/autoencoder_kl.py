"""Run diffusers' AutoencoderKL, every parameter drawn anew, over images whole and in tiles; keep what layers saw.

Also have diffusers write its weights, as one file and as several with an index.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.parity.redraw import redraw

# As Stable Diffusion's and Flux's are.
CONFIGS = {
    "sd": {
        "block_out_channels": (16, 32, 32),
        "layers_per_block": 2,
        "norm_num_groups": 8,
        "scaling_factor": 0.13025,
    },
    "flux": {
        "block_out_channels": (32, 64),
        "layers_per_block": 1,
        "latent_channels": 6,
        "scaling_factor": 0.3611,
        "shift_factor": 0.1159,
        "use_quant_conv": False,
        "use_post_quant_conv": False,
    },
}
SMALLEST = {"block_out_channels": (4, 8), "layers_per_block": 1, "latent_channels": 2, "norm_num_groups": 2}
# name -> channels that it takes
LAYERS = {
    "encoder.down_blocks.0.downsamplers.0": 16,
    "encoder.down_blocks.1.resnets.0": 16,  # widens
    "encoder.mid_block.attentions.0": 32,
    "decoder.up_blocks.0.upsamplers.0": 32,
}
# Height and width: a small image, and one of which tiles of 32 leave strips of 8 and of 16.
SMALL, LARGE = (16, 24), (56, 40)

Arrays = dict[str, np.ndarray]


def draw(config: dict[str, object]) -> tuple[AutoencoderKL, dict[str, list[int]]]:
    """Build a VAE and draw its parameters; return the shapes too."""
    levels = len(config["block_out_channels"])
    blocks = {"down_block_types": ["DownEncoderBlock2D"] * levels, "up_block_types": ["UpDecoderBlock2D"] * levels}
    vae = AutoencoderKL(**config, **blocks).eval()
    shapes = {name: list(tensor.shape) for name, tensor in vae.state_dict().items()}
    vae.load_state_dict({name: torch.from_numpy(value) for name, value in redraw(shapes, seed=1).items()})
    return vae, shapes


def channels_last(image: torch.Tensor) -> np.ndarray:
    """Return B C H W as B H W C."""
    return np.ascontiguousarray(image.movedim(1, -1).numpy())


def code(vae: AutoencoderKL, rng: np.random.Generator, height: int, width: int) -> Arrays:
    """Encode an image, and decode latents of its size that have nothing to do with it."""
    side = 2 ** (len(vae.config.block_out_channels) - 1)
    pixels = rng.uniform(-1, 1, (2, height, width, 3)).astype(np.float32)
    latents = rng.normal(size=(2, height // side, width // side, vae.config.latent_channels)).astype(np.float32)
    posterior = vae.encode(torch.from_numpy(pixels).movedim(-1, 1)).latent_dist
    shift, scale = vae.config.shift_factor or 0.0, vae.config.scaling_factor
    decoded = vae.decode(torch.from_numpy(latents).movedim(-1, 1)).sample
    restored = vae.decode(torch.from_numpy(latents).movedim(-1, 1) / scale + shift).sample
    return {
        "pixels": pixels,
        "latents": latents,
        "mean": channels_last(posterior.mean),
        "logvar": channels_last(posterior.logvar),
        "normalised": channels_last((posterior.mode() - shift) * scale),
        "decoded": channels_last(decoded),
        "restored": channels_last(restored),
    }


def run_layers(vae: AutoencoderKL, rng: np.random.Generator) -> Arrays:
    """Run single layers; the norm from loud to so quiet that its epsilon shows."""
    arrays = {}
    for name, channels in LAYERS.items():
        x = torch.from_numpy(rng.normal(size=(1, channels, 6, 8)).astype(np.float32))
        no_time = (None,) if "resnets" in name else ()
        out = vae.get_submodule(name)(x, *no_time)
        arrays |= {f"{name}/in": channels_last(x), f"{name}/out": channels_last(out)}
    norm = vae.decoder.conv_norm_out
    x = torch.from_numpy(rng.normal(size=(4, norm.num_channels, 4, 6)).astype(np.float32))
    x = x * 10.0 ** -torch.arange(4)[:, None, None, None]
    return {**arrays, "norm/in": channels_last(x), "norm/out": channels_last(norm(x))}


@torch.no_grad()
def run(name: str) -> Arrays:
    """Return all that there is of one VAE."""
    vae, shapes = draw(CONFIGS[name])
    rng = np.random.default_rng(2)
    said = {key: value for key, value in vae.config.items() if not key.startswith("_")}
    arrays = {"config": json.dumps(said), "shapes": json.dumps(shapes)}
    arrays |= {f"small/{key}": value for key, value in code(vae, rng, *SMALL).items()}
    if name == "sd":
        arrays |= run_layers(vae, rng)
        vae.enable_tiling()
        arrays |= {f"large/{key}": value for key, value in code(vae, rng, *LARGE).items()}
    return {f"{name}/{key}": value for key, value in arrays.items()}


def main(folder: Path) -> None:
    """Write autoencoder_kl.npz and two folders of weights."""
    arrays = {key: array for name in CONFIGS for key, array in run(name).items()}
    np.savez_compressed(folder / "autoencoder_kl.npz", **arrays)
    smallest, _ = draw(SMALLEST)
    for name, limit in (("autoencoder_kl_single", "1GB"), ("autoencoder_kl_sharded", "20KB")):
        shutil.rmtree(folder / name, ignore_errors=True)
        smallest.save_pretrained(folder / name, max_shard_size=limit)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

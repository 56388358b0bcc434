"""Run diffusers' Wan VAE, every parameter drawn anew, over a video; keep what single layers saw of it."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLWan

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.parity.redraw import redraw

CONFIG = {
    "base_dim": 8,
    "num_res_blocks": 1,
    "z_dim": 4,
    "latents_mean": [0.1, -0.2, 0.3, -0.4],
    "latents_std": [1.5] * 4,
}
LAYERS = (
    "encoder.down_blocks.3",  # halves height, width and time
    "encoder.down_blocks.4",  # widens
    "encoder.mid_block.attentions.0",
    "decoder.up_blocks.0.upsamplers.0",  # doubles height, width and time
    "decoder.up_blocks.2.resnets.1",
)


class Watch:
    """Keep the input and the output of modules, chunk by chunk, as one video channels last."""

    def __init__(self, model: torch.nn.Module, names: tuple[str, ...]) -> None:
        self.chunks: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {name: [] for name in names}
        for name in names:
            model.get_submodule(name).register_forward_hook(self._keeper(name))

    def videos(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return what went into a module and what came out."""
        seen, made = zip(*self.chunks[name], strict=True)
        return channels_last(torch.cat(seen, 2)), channels_last(torch.cat(made, 2))

    def _keeper(self, name: str):
        def keep(module, args, output) -> None:
            self.chunks[name].append((args[0].clone(), output.clone()))

        return keep


def channels_last(video: torch.Tensor) -> np.ndarray:
    """Return B C T H W as B T H W C."""
    return np.ascontiguousarray(video.movedim(1, -1).numpy())


@torch.no_grad()
def main(folder: Path) -> None:
    """Write wan_vae.npz."""
    vae = AutoencoderKLWan(**CONFIG).eval()
    shapes = {name: list(tensor.shape) for name, tensor in vae.state_dict().items()}
    vae.load_state_dict({name: torch.from_numpy(value) for name, value in redraw(shapes, seed=1).items()})
    # Of the decoder itself, since `decode` clamps what it returns.
    watch = Watch(vae, (*LAYERS, "decoder"))
    rng = np.random.default_rng(2)
    pixels = rng.uniform(-1, 1, (1, 17, 16, 24, 3)).astype(np.float32)
    latents = rng.normal(size=(1, 5, 2, 3, 4)).astype(np.float32)
    posterior = vae.encode(torch.from_numpy(pixels).movedim(-1, 1)).latent_dist
    vae.decode(torch.from_numpy(latents).movedim(-1, 1))
    arrays = {"mean": channels_last(posterior.mean), "logvar": channels_last(posterior.logvar)}
    arrays["decoded"] = watch.videos("decoder")[1]
    for name in LAYERS:
        arrays[f"{name}/in"], arrays[f"{name}/out"] = watch.videos(name)
    # From loud to so quiet that an epsilon in the norm would show.
    x = torch.from_numpy(rng.normal(size=(1, 8, 4, 4, 4)).astype(np.float32)) * 10.0 ** -torch.arange(4)[:, None, None]
    arrays |= {"norm/in": channels_last(x), "norm/out": channels_last(vae.decoder.norm_out(x))}
    arrays |= {
        "pixels": pixels,
        "latents": latents,
        "config": json.dumps({name: value for name, value in vae.config.items() if not name.startswith("_")}),
        "shapes": json.dumps(shapes),
    }
    np.savez_compressed(folder / "wan_vae.npz", **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Run diffusers' Wan transformer, every parameter drawn anew: its layers, the whole, and the gradients of its loss.

Also have diffusers write its weights, as one file and as several with an index.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from diffusers import WanTransformer3DModel

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.parity.redraw import redraw

CONFIG = {
    "num_attention_heads": 3,
    "attention_head_dim": 16,
    "in_channels": 4,
    "out_channels": 4,
    "text_dim": 24,
    "freq_dim": 32,
    "ffn_dim": 80,
    "num_layers": 2,
}
SMALLEST = {**CONFIG, "num_attention_heads": 1, "attention_head_dim": 8, "text_dim": 6, "freq_dim": 8, "ffn_dim": 12}

# name -> batch, latents (frames, height, width), text positions
VIDEOS = {
    "wide": (2, (3, 4, 6), 7),
    "tall": (1, (2, 10, 4), 512),
    "image": (3, (1, 6, 8), 5),
}
TIMES = {"wide": [3.5, 996.25], "tall": [500.0], "image": [0.0, 421.7, 1000.0]}

# From loud to so quiet that an epsilon in a norm would show; in between, it shows in what attention attends to.
LOUDNESS = {"loud": 1.0, "soft": 0.1, "quiet": 3e-3}

Arrays = dict[str, np.ndarray]


def draw(config: dict[str, object]) -> tuple[WanTransformer3DModel, dict[str, list[int]]]:
    """Build a transformer and draw its parameters; return the shapes too."""
    model = WanTransformer3DModel(**config).eval()
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    model.load_state_dict({name: torch.from_numpy(value) for name, value in redraw(shapes, seed=1).items()})
    return model, shapes


def make_inputs(rng: np.random.Generator, name: str) -> Arrays:
    """Draw latents, noise and text; the second half of the text is past the prompt's end."""
    batch, latents, length = VIDEOS[name]
    text = rng.normal(size=(batch, length, CONFIG["text_dim"])).astype(np.float32)
    text[:, length // 2 + 1 :] = 0
    draws = {key: rng.normal(size=(batch, *latents, CONFIG["in_channels"])) for key in ("latents", "noise")}
    return {"time": np.float32(TIMES[name]), "text": text, **{key: np.float32(x) for key, x in draws.items()}}


def channels_first(video: np.ndarray) -> torch.Tensor:
    """Return B T H W C as B C T H W."""
    return torch.from_numpy(video).movedim(-1, 1).contiguous()


def predict(model: WanTransformer3DModel, inputs: Arrays, x: torch.Tensor) -> torch.Tensor:
    """Return the prediction, channels first."""
    time, text = torch.from_numpy(inputs["time"]), torch.from_numpy(inputs["text"])
    return model(x, time, text, return_dict=False)[0]


def run_layers(model: WanTransformer3DModel, rng: np.random.Generator, inputs: Arrays) -> Arrays:
    """Run single layers of the last block, and what stands before the blocks, in the geometry of one video."""
    latents, text = channels_first(inputs["latents"]), torch.from_numpy(inputs["text"])
    tokens = model.patch_embedding(latents).flatten(2).transpose(1, 2)
    rotary = model.rope(latents)
    arrays = {"patches": tokens, "rotary/cos": rotary[0][0, :, 0, ::2], "rotary/sin": rotary[1][0, :, 0, 1::2]}
    times = torch.tensor([0.0, 0.3, 17.0, 421.7, 999.9, 1000.0])
    temb, modulation, _, _ = model.condition_embedder(times, text[:1])
    arrays |= {"times": times, "temb": temb, "modulation": modulation.unflatten(1, (6, -1))}
    arrays["text"] = context = model.condition_embedder.text_embedder(text)
    block, rows = model.blocks[-1], arrays["modulation"][1:3]
    for loudness, scale in LOUDNESS.items():
        x = torch.from_numpy(rng.normal(size=tokens.shape).astype(np.float32)) * scale
        quiet_context = context * scale
        arrays |= {
            f"{loudness}/x": x,
            f"{loudness}/context": quiet_context,
            f"{loudness}/attn1": block.attn1(x, None, None, rotary),
            f"{loudness}/attn2": block.attn2(x, quiet_context, None, None),
            f"{loudness}/norm2": block.norm2(x),
            f"{loudness}/ffn": block.ffn(x),
            f"{loudness}/block": block(x, context, rows, rotary),
        }
    return {f"layers/{name}": np.ascontiguousarray(tensor.numpy()) for name, tensor in arrays.items()}


def gradients(model: WanTransformer3DModel, inputs: Arrays) -> Arrays:
    """Return the flow-matching loss at the given times and its gradient for every parameter."""
    data, noise = channels_first(inputs["latents"]), channels_first(inputs["noise"])
    share = torch.from_numpy(inputs["time"]).reshape(-1, 1, 1, 1, 1) / 1000
    model.zero_grad()
    loss = (predict(model, inputs, (1 - share) * data + share * noise) - (noise - data)).square().mean()
    loss.backward()
    slopes = {f"gradient/{name}": parameter.grad.numpy() for name, parameter in model.named_parameters()}
    return {"loss": loss.detach().numpy(), **slopes}


def main(folder: Path) -> None:
    """Write wan_transformer.npz and two folders of weights."""
    model, shapes = draw(CONFIG)
    rng = np.random.default_rng(2)
    videos = {name: make_inputs(rng, name) for name in VIDEOS}
    arrays = {f"{name}/{key}": value for name, inputs in videos.items() for key, value in inputs.items()}
    with torch.no_grad():
        for name, inputs in videos.items():
            arrays[f"{name}/prediction"] = (
                predict(model, inputs, channels_first(inputs["latents"])).movedim(1, -1).numpy()
            )
        arrays |= run_layers(model, rng, videos["wide"])
    arrays |= gradients(model, videos["wide"])
    arrays |= {"config": json.dumps(dict(model.config)), "shapes": json.dumps(shapes)}
    np.savez_compressed(folder / "wan_transformer.npz", **arrays)
    smallest, _ = draw(SMALLEST)
    for name, limit in (("wan_transformer_single", "1GB"), ("wan_transformer_sharded", "8KB")):
        shutil.rmtree(folder / name, ignore_errors=True)
        smallest.save_pretrained(folder / name, max_shard_size=limit)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

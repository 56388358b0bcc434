"""Run transformers' CLIP text encoders, every parameter drawn anew: the whole, one layer, the gradients of a loss.

Also have transformers write their weights, as one file and as several with an index.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.parity.redraw import redraw

BEGIN, END = 94, 95
SIZES = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 56,
    "projection_dim": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 20,
    "bos_token_id": BEGIN,
}
SMALLEST = {
    **SIZES,
    "vocab_size": 12,
    "hidden_size": 8,
    "intermediate_size": 12,
    "projection_dim": 6,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 7,
    "bos_token_id": 10,
    "eos_token_id": 11,
}
# As CLIP-L, OpenCLIP-H and OpenCLIP-bigG are: class, what its config says, what prompts are padded with.
ENCODERS = {
    "l": (CLIPTextModel, {"hidden_act": "quick_gelu", "eos_token_id": 2}, END),
    "h": (CLIPTextModel, {"hidden_act": "gelu", "eos_token_id": 2, "num_hidden_layers": 2}, 0),
    "g": (CLIPTextModelWithProjection, {"hidden_act": "gelu", "eos_token_id": END}, 0),
}
LENGTHS = (20, 9, 2)

# From loud to so quiet that an epsilon in a norm would show.
LOUDNESS = {"loud": 1.0, "quiet": 3e-3}

Arrays = dict[str, np.ndarray]


def draw(kind: type, config: CLIPTextConfig) -> tuple[torch.nn.Module, dict[str, list[int]]]:
    """Build an encoder and draw its parameters; return the shapes too."""
    model = kind._from_config(config, attn_implementation="eager").eval()
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    model.load_state_dict({name: torch.from_numpy(value) for name, value in redraw(shapes, seed=1).items()})
    return model, shapes


def make_tokens(rng: np.random.Generator, padding: int) -> np.ndarray:
    """Draw prompts of several lengths, each with its begin and end."""
    tokens = rng.integers(1, BEGIN, (len(LENGTHS), max(LENGTHS))).astype(np.int32)
    tokens[:, 0] = BEGIN
    for row, length in zip(tokens, LENGTHS, strict=True):
        row[length - 1], row[length:] = END, padding
    return tokens


def encode(model: torch.nn.Module, tokens: np.ndarray) -> dict[str, torch.Tensor]:
    """Return what pipelines take of an encoder."""
    out = model(torch.from_numpy(tokens).long(), output_hidden_states=True)
    pooled = out.text_embeds if isinstance(model, CLIPTextModelWithProjection) else out.pooler_output
    return {"last": out.last_hidden_state, "penultimate": out.hidden_states[-2], "pooled": pooled}


def run_layer(model: torch.nn.Module, rng: np.random.Generator) -> Arrays:
    """Run one layer, and the norm that it begins with."""
    layer = getattr(model, "text_model", model).encoder.layers[1]
    unseen = torch.full((max(LENGTHS),) * 2, -torch.inf).triu(1)[None, None]
    arrays = {}
    for loudness, scale in LOUDNESS.items():
        x = torch.from_numpy(rng.normal(size=(2, max(LENGTHS), SIZES["hidden_size"])).astype(np.float32)) * scale
        arrays[f"{loudness}/x"] = x.numpy()
        arrays[f"{loudness}/norm"] = layer.layer_norm1(x).numpy()
        arrays[f"{loudness}/attention"] = layer.self_attn(x, unseen)[0].numpy()
        arrays[f"{loudness}/layer"] = layer(x, unseen).numpy()
    return arrays


def gradients(model: torch.nn.Module, tokens: np.ndarray, rng: np.random.Generator) -> Arrays:
    """Return the loss, squares of all that the encoder gives from what it should, and its gradients."""
    outputs = encode(model, tokens)
    targets = {name: rng.normal(size=output.shape).astype(np.float32) for name, output in outputs.items()}
    model.zero_grad()
    loss = sum((outputs[name] - torch.from_numpy(target)).square().mean() for name, target in targets.items())
    loss.backward()
    slopes = {f"gradient/{name}": parameter.grad.numpy() for name, parameter in model.named_parameters()}
    largest = max(np.abs(slope).max() for slope in slopes.values())
    # What is added to every key changes no weight of any softmax: these are rounding, and another machine's are others.
    for name in [name for name in slopes if name.endswith("k_proj.bias")]:
        assert np.abs(slopes.pop(name)).max() < 1e-6 * largest
    return {"loss": loss.detach().numpy(), **{f"target/{name}": value for name, value in targets.items()}, **slopes}


def run(name: str) -> Arrays:
    """Return all that there is of one encoder."""
    kind, config, padding = ENCODERS[name]
    model, shapes = draw(kind, CLIPTextConfig(**{**SIZES, **config}))
    rng = np.random.default_rng(2)
    tokens = make_tokens(rng, padding)
    said = {**model.config.to_dict(), "architectures": [kind.__name__]}
    arrays = {"tokens": tokens, "config": json.dumps(said), "shapes": json.dumps(shapes)}
    with torch.no_grad():
        arrays |= {key: value.numpy() for key, value in encode(model, tokens).items()}
        arrays |= run_layer(model, rng)
    if name != "h":
        arrays |= gradients(model, tokens, rng)
    return {f"{name}/{key}": value for key, value in arrays.items()}


def main(folder: Path) -> None:
    """Write clip.npz and two folders of weights."""
    np.savez_compressed(folder / "clip.npz", **{key: array for name in ENCODERS for key, array in run(name).items()})
    config = CLIPTextConfig(**SMALLEST)
    for name, kind, limit in (
        ("clip_single", CLIPTextModel, "1GB"),
        ("clip_sharded", CLIPTextModelWithProjection, "2KB"),
    ):
        shutil.rmtree(folder / name, ignore_errors=True)
        draw(kind, config)[0].save_pretrained(folder / name, max_shard_size=limit)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Run diffusers' UNet, every parameter drawn anew: its layers, the whole, and the gradients of a loss.

Three of them, made like Stable Diffusion 1.x, 2.1 and XL. Also have diffusers write weights, as one file and as several
with an index.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DConditionModel

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.parity.redraw import redraw
from tests.parity.thinning import thin

CROSSING, PLAIN = ("CrossAttnDownBlock2D", "DownBlock2D"), ("CrossAttnUpBlock2D", "UpBlock2D")
SMALL = {"norm_num_groups": 4, "cross_attention_dim": 12}
CONFIGS = {
    "sd1": {
        **SMALL,
        "block_out_channels": (8, 16),
        "down_block_types": CROSSING,
        "up_block_types": PLAIN[::-1],
        "layers_per_block": 2,
        "attention_head_dim": 2,
    },
    "sd2": {
        **SMALL,
        "block_out_channels": (8, 16, 24),
        "down_block_types": (CROSSING[0], *CROSSING),
        "up_block_types": (PLAIN[1], PLAIN[0], PLAIN[0]),
        "layers_per_block": 1,
        "attention_head_dim": (2, 4, 3),
        "use_linear_projection": True,
        "upcast_attention": True,
    },
    "sdxl": {
        **SMALL,
        "block_out_channels": (8, 16),
        "down_block_types": CROSSING[::-1],
        "up_block_types": PLAIN,
        "layers_per_block": 1,
        "attention_head_dim": (1, 2),
        "transformer_layers_per_block": (1, 3),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 6,
        "projection_class_embeddings_input_dim": 10 + 6 * 6,
    },
}
SMALLEST = {
    **CONFIGS["sd1"],
    "norm_num_groups": 2,
    "cross_attention_dim": 3,
    "block_out_channels": (4, 4),
    "layers_per_block": 1,
}

# name -> batch, latents (height, width), text positions; odd ones are rounded up on the way down
IMAGES = {"square": (2, (8, 8), 5), "odd": (1, (7, 10), 77)}
TIMES = {"square": [3.0, 999.0], "odd": [500.0]}

# From loud to so quiet that an epsilon in a norm would show.
LOUDNESS = {"loud": 1.0, "quiet": 3e-3}

Arrays = dict[str, np.ndarray]


def draw(config: dict[str, object]) -> tuple[UNet2DConditionModel, dict[str, list[int]]]:
    """Build a UNet and draw its parameters; return the shapes too."""
    model = UNet2DConditionModel(**config).eval()
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    model.load_state_dict({name: torch.from_numpy(value) for name, value in redraw(shapes, seed=1).items()})
    return model, shapes


def make_inputs(rng: np.random.Generator, image: str) -> Arrays:
    """Draw latents, target, text, pooled text and what a ControlNet might add to the middle."""
    batch, size, length = IMAGES[image]
    draws = {key: rng.normal(size=(batch, *size, 4)) for key in ("latents", "target")}
    draws |= {"text": rng.normal(size=(batch, length, 12)), "pooled": rng.normal(size=(batch, 10))}
    sizes = rng.integers(0, 1025, size=(batch, 6))
    return {key: np.float32(x) for key, x in {"time": TIMES[image], "sizes": sizes, **draws}.items()}


def channels_first(image: np.ndarray) -> torch.Tensor:
    """Return B H W C as B C H W."""
    return torch.from_numpy(image).movedim(-1, 1).contiguous()


def channels_last(image: torch.Tensor) -> np.ndarray:
    """Return B C H W as B H W C."""
    return np.ascontiguousarray(image.movedim(1, -1).numpy())


def predict(model: UNet2DConditionModel, inputs: Arrays, **kwargs: object) -> torch.Tensor:
    """Return the prediction, channels first."""
    time, text = torch.from_numpy(inputs["time"]), torch.from_numpy(inputs["text"])
    added = {"text_embeds": torch.from_numpy(inputs["pooled"]), "time_ids": torch.from_numpy(inputs["sizes"])}
    x = channels_first(inputs["latents"])
    return model(x, time, text, added_cond_kwargs=added, return_dict=False, **kwargs)[0]


def run_controlled(model: UNet2DConditionModel, rng: np.random.Generator, inputs: Arrays) -> Arrays:
    """Run a UNet with what a ControlNet gives it, drawn at random."""
    shapes, hooks = [], []
    for layer in (model.conv_in, *model.down_blocks, model.mid_block):
        hooks.append(layer.register_forward_hook(lambda _, __, out: shapes.append(out)))
    predict(model, inputs)
    for hook in hooks:
        hook.remove()
    first, *downs, mid = shapes
    left = [first, *(skip for _, skips in downs for skip in skips)]
    extra = [np.float32(rng.normal(size=channels_last(skip).shape)) for skip in (*left, mid)]
    *down_residuals, mid_residual = map(channels_first, extra)
    out = predict(
        model, inputs, down_block_additional_residuals=down_residuals, mid_block_additional_residual=mid_residual
    )
    return {**{f"residual/{index}": value for index, value in enumerate(extra)}, "prediction": channels_last(out)}


def run_layers(models: dict[str, UNet2DConditionModel], rng: np.random.Generator) -> Arrays:
    """Run single layers, in the geometry of a small image that is twice as wide as high."""
    sd1, sdxl = models["sd1"], models["sdxl"]
    times = torch.tensor([0.0, 0.3, 17.0, 421.7, 981.0, 999.0])
    arrays = {"times": times, "temb": sd1.time_embedding(sd1.time_proj(times))}
    text = torch.from_numpy(np.float32(rng.normal(size=(2, 5, 12))))
    x, wide = (torch.from_numpy(np.float32(rng.normal(size=(2, dim, 4, 6)))) for dim in (8, 16))
    arrays |= {"text": text, "x": x.movedim(1, -1), "wide": wide.movedim(1, -1)}
    level, temb = sd1.down_blocks[1], arrays["temb"][-2:]
    images = {
        "down": sd1.down_blocks[0].downsamplers[0](x),
        "up": sd1.up_blocks[0].upsamplers[0](wide),
        "up odd": sd1.up_blocks[0].upsamplers[0](wide, output_size=(7, 11)),
    }
    deep = sdxl.down_blocks[1].attentions[0]
    block = deep.transformer_blocks[-1]
    for loudness, scale in LOUDNESS.items():
        tokens = wide.flatten(2).transpose(1, 2) * scale
        images |= {
            f"{loudness}/resnet": level.resnets[0](x * scale, temb),
            f"{loudness}/resnet as wide": level.resnets[1](wide * scale, temb),
            f"{loudness}/transformer": sd1.down_blocks[0].attentions[1](x * scale, text, return_dict=False)[0],
            f"{loudness}/deep transformer": deep(wide * scale, text, return_dict=False)[0],
            f"{loudness}/norm out": sd1.conv_norm_out(x * scale),
        }
        arrays |= {
            f"{loudness}/norm": block.norm1(tokens),
            f"{loudness}/attn1": block.attn1(tokens),
            f"{loudness}/attn2": block.attn2(tokens, text),
            f"{loudness}/ff": block.ff(tokens),
            f"{loudness}/block": block(tokens, encoder_hidden_states=text),
        }
    arrays |= {name: image.movedim(1, -1) for name, image in images.items()}
    return {f"layers/{name}": np.ascontiguousarray(tensor.numpy()) for name, tensor in arrays.items()}


def gradients(model: UNet2DConditionModel, inputs: Arrays) -> Arrays:
    """Return the mean squared loss and, tensor by tensor, a few values of its gradient and the largest."""
    model.zero_grad()
    loss = (predict(model, inputs) - channels_first(inputs["target"])).square().mean()
    loss.backward()
    slopes = {name: parameter.grad.numpy() for name, parameter in model.named_parameters()}
    values = np.concatenate([thin(name, slope) for name, slope in slopes.items()])
    largest = np.array([np.abs(slope).max() for slope in slopes.values()])
    return {"loss": loss.detach().numpy(), "gradient": values, "largest gradient": largest}


def main(folder: Path) -> None:
    """Write unet.npz and two folders of weights."""
    models = {}
    rng = np.random.default_rng(2)
    images = {name: make_inputs(rng, name) for name in IMAGES}
    arrays = {f"{name}/{key}": value for name, inputs in images.items() for key, value in inputs.items()}
    for kind, config in CONFIGS.items():
        models[kind], shapes = draw(config)
        model = models[kind]
        arrays |= {f"{kind}/config": json.dumps(dict(model.config)), f"{kind}/shapes": json.dumps(shapes)}
        with torch.no_grad():
            for name, inputs in images.items():
                arrays[f"{kind}/{name}"] = channels_last(predict(model, inputs))
        arrays |= {f"{kind}/{name}": value for name, value in gradients(model, images["square"]).items()}
    with torch.no_grad():
        controlled = run_controlled(models["sd1"], rng, images["odd"])
        arrays |= {f"controlled/{name}": value for name, value in controlled.items()}
        arrays |= run_layers(models, rng)
    np.savez_compressed(folder / "unet.npz", **arrays)
    smallest, _ = draw(SMALLEST)
    for name, limit in (("unet_single", "1GB"), ("unet_sharded", "16KB")):
        shutil.rmtree(folder / name, ignore_errors=True)
        smallest.save_pretrained(folder / name, max_shard_size=limit)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Run diffusers' ControlNets, every parameter drawn anew: layers, what they add to a UNet, the UNet's prediction then,
and the gradients of a loss.

They are those of the UNets of `unet.py`, in the same images; two for each, of other parameters, with a condition each.
Also have diffusers start one from a UNet, and write weights, as one file and as several with an index.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from diffusers import ControlNetModel, MultiControlNetModel, UNet2DConditionModel

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.parity.redraw import redraw
from tests.parity.reference.unet import CONFIGS, IMAGES, SMALLEST, Arrays, channels_first, channels_last, make_inputs
from tests.parity.reference.unet import draw as draw_unet
from tests.parity.thinning import thin

SEEDS = (3, 4)  # the UNet's is 1
SCALES = [0.7, 1.3]
STRIDE = 8

CONDITION = {"conditioning_embedding_out_channels": (4, 6, 6, 8)}

Models = tuple[UNet2DConditionModel, list[ControlNetModel]]


def draw(unet: UNet2DConditionModel, seed: int) -> tuple[ControlNetModel, dict[str, list[int]]]:
    """Build a ControlNet for a UNet and draw its parameters; return the shapes too."""
    model = ControlNetModel.from_unet(unet, **CONDITION).eval()
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    model.load_state_dict({name: torch.from_numpy(value) for name, value in redraw(shapes, seed=seed).items()})
    return model, shapes


def draw_conditions(rng: np.random.Generator, image: str) -> Arrays:
    """Draw the bytes of a picture for each ControlNet."""
    batch, (height, width), _ = IMAGES[image]
    size = (batch, STRIDE * height, STRIDE * width, 3)
    return {f"condition/{index}": rng.integers(0, 256, size, np.uint8) for index in range(len(SEEDS))}


def pixels(condition: np.ndarray) -> torch.Tensor:
    """Return bytes B H W C as pixels in [0, 1], B C H W."""
    return channels_first(np.float32(condition) / np.float32(255))


def arguments(inputs: Arrays) -> tuple[tuple[torch.Tensor, ...], dict[str, torch.Tensor]]:
    """Return latents, time and text, and what is added."""
    added = {"text_embeds": torch.from_numpy(inputs["pooled"]), "time_ids": torch.from_numpy(inputs["sizes"])}
    x = channels_first(inputs["latents"])
    return (x, torch.from_numpy(inputs["time"]), torch.from_numpy(inputs["text"])), added


def control(models: Models, inputs: Arrays, scales: list[float]) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Return what as many ControlNets as there are scales say, and the UNet's prediction then."""
    args, added = arguments(inputs)
    unet, nets = models
    conditions = [pixels(inputs[f"condition/{index}"]) for index in range(len(scales))]
    say = MultiControlNetModel(nets[: len(scales)])
    down, mid = say(*args, conditions, scales, added_cond_kwargs=added, return_dict=False)
    predicted = unet(
        *args,
        added_cond_kwargs=added,
        down_block_additional_residuals=down,
        mid_block_additional_residual=mid,
        return_dict=False,
    )[0]
    return [*down, mid], predicted


def run(models: Models, inputs: Arrays) -> Arrays:
    """Run the first ControlNet as it was trained, then scaled, then with the second."""
    arrays = {}
    for name, scales in {"one": [1.0], "scaled": SCALES[:1], "two": SCALES}.items():
        said, predicted = control(models, inputs, scales)
        if name != "scaled":
            arrays |= {f"{name}/{index}": channels_last(image) for index, image in enumerate(said)}
        arrays[f"{name}/prediction"] = channels_last(predicted)
    return arrays


def run_layers(model: ControlNetModel, inputs: Arrays) -> Arrays:
    """Run the layers that no UNet has, on the condition and on what they make of it."""
    condition = pixels(inputs["condition/0"])
    embedding = model.controlnet_cond_embedding
    first = embedding.conv_in(condition)
    embedded = embedding(condition)
    wide = torch.from_numpy(np.float32(np.random.default_rng(6).normal(size=(1, 16, 3, 4))))
    images = {
        "first": first[:, :, :5, :9],
        "down": embedding.blocks[1](first)[:, :, -5:, -9:],
        "embedding": embedded,
        "zero": model.controlnet_down_blocks[0](embedded),
        "wide": wide,
        "mid zero": model.controlnet_mid_block(wide),
    }
    return {f"layers/{name}": channels_last(image) for name, image in images.items()}


def gradients(models: Models, inputs: Arrays) -> Arrays:
    """Return the mean squared loss and, tensor by tensor of the first ControlNet, a few values of its gradient and the
    largest.
    """
    _, predicted = control(models, inputs, SCALES[:1])
    loss = (predicted - channels_first(inputs["target"])).square().mean()
    loss.backward()
    slopes = {name: parameter.grad.numpy() for name, parameter in models[1][0].named_parameters()}
    values = np.concatenate([thin(name, slope) for name, slope in slopes.items()])
    largest = np.array([np.abs(slope).max() for slope in slopes.values()])
    return {"loss": loss.detach().numpy(), "gradient": values, "largest gradient": largest}


def start(unet: UNet2DConditionModel) -> dict[str, list[str]]:
    """Have a ControlNet start from a UNet; return which tensors are the UNet's, and which are zero."""
    theirs, state = unet.state_dict(), ControlNetModel.from_unet(unet, **CONDITION).state_dict()
    copied = [name for name, value in state.items() if name in theirs and torch.equal(theirs[name], value)]
    return {"copied": copied, "zero": [name for name, value in state.items() if not value.any()]}


def main(folder: Path) -> None:
    """Write controlnet.npz and two folders of weights."""
    rng = np.random.default_rng(5)
    images = {name: make_inputs(rng, name) | draw_conditions(rng, name) for name in IMAGES}
    arrays = {f"{name}/{key}": value for name, inputs in images.items() for key, value in inputs.items()}
    arrays["scales"] = np.float32(SCALES)
    for kind, config in CONFIGS.items():
        unet, unet_shapes = draw_unet(config)
        arrays |= {f"{kind}/unet config": json.dumps(dict(unet.config)), f"{kind}/unet shapes": json.dumps(unet_shapes)}
        arrays[f"{kind}/start"] = json.dumps(start(unet))
        nets = []
        for seed in SEEDS:
            net, shapes = draw(unet, seed)
            nets.append(net)
        arrays |= {f"{kind}/config": json.dumps(dict(net.config)), f"{kind}/shapes": json.dumps(shapes)}
        with torch.no_grad():
            for name, inputs in images.items():
                arrays |= {f"{kind}/{name}/{key}": value for key, value in run((unet, nets), inputs).items()}
            if kind == "sd1":
                arrays |= run_layers(nets[0], images["odd"])
        arrays |= {f"{kind}/{name}": value for name, value in gradients((unet, nets), images["square"]).items()}
    np.savez_compressed(folder / "controlnet.npz", **arrays)
    smallest, _ = draw(draw_unet(SMALLEST)[0], SEEDS[0])
    for name, limit in (("controlnet_single", "1GB"), ("controlnet_sharded", "16KB")):
        shutil.rmtree(folder / name, ignore_errors=True)
        smallest.save_pretrained(folder / name, max_shard_size=limit)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

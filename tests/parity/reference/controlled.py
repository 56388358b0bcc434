"""Run diffusers' pipelines of Stable Diffusion 1 and XL with ControlNets, every parameter drawn anew, to latents.

Models, prompts and noise are those of stable_diffusion.py.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    StableDiffusionControlNetPipeline,
    StableDiffusionXLControlNetPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextModel, CLIPTextModelWithProjection

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.parity.reference import stable_diffusion as plain

SEEDS = (7, 8)
SCALES = (0.7, 1.3)
WIDTHS = (4, 8, 12)  # as many as it takes from pixels to latents
GUIDANCE = {"sd1": 7.5, "sdxl": 5.0}
SCHEDULERS = {"sd1": "ddim", "sdxl": "euler"}


def pictures() -> np.ndarray:
    """Return two pictures to follow."""
    side = plain.SCALE * plain.SIDE
    return np.random.default_rng(9).integers(0, 256, (2, side, side, 3)).astype(np.uint8)


def condition(picture: np.ndarray) -> torch.Tensor:
    """Return a picture as the pipelines take it."""
    return torch.from_numpy(picture.astype(np.float32) / 255).movedim(-1, 0)[None].contiguous()


@torch.no_grad()
def main(folder: Path) -> None:
    """Write controlled.npz."""
    tokenizer, shown = plain.make_tokenizer(), pictures()
    first = plain.encoder(CLIPTextModel, plain.WIDTHS[0], "quick_gelu", 1)[0]
    second = plain.encoder(CLIPTextModelWithProjection, plain.WIDTHS[1], "gelu", 4)[0]
    vae = plain.drawn(AutoencoderKL(**plain.VAE), 2)[0]
    shape = (2, plain.BATCH, plain.SIDE, plain.SIDE, plain.CHANNELS)
    noise = np.random.default_rng(5).normal(size=shape).astype(np.float32)[0]
    arrays: plain.Arrays = {"pictures": shown, "scales": np.array(SCALES)}
    for kind in SCHEDULERS:
        unet = plain.drawn(UNet2DConditionModel(**plain.UNETS[kind]), 3)[0]
        new = [ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=WIDTHS) for _ in SEEDS]
        drawn = [plain.drawn(each, seed) for each, seed in zip(new, SEEDS, strict=True)]
        controls = [model for model, _ in drawn]
        arrays |= {f"{kind}/config": json.dumps(dict(controls[0].config)), f"{kind}/shapes": json.dumps(drawn[0][1])}
        modules = {"tokenizer": tokenizer, "text_encoder": first, "vae": vae, "unet": unet}
        modules["scheduler"] = plain.SCHEDULERS[SCHEDULERS[kind]]

        def pipeline(control: object, kind: str = kind, modules: plain.Modules = modules) -> object:
            if kind == "sd1":
                return StableDiffusionControlNetPipeline(**modules, controlnet=control, **plain.PLAIN)
            both = {"text_encoder_2": second, "tokenizer_2": tokenizer, "add_watermarker": False}
            return StableDiffusionXLControlNetPipeline(**modules, controlnet=control, **both)

        request = {
            "prompt": plain.PROMPTS,
            "negative_prompt": [plain.NEGATIVE] * plain.BATCH,
            "num_inference_steps": plain.STEPS,
            "guidance_scale": GUIDANCE[kind],
            "latents": plain.channels_first(noise),
            "output_type": "latent",
        }
        conditions = [condition(picture) for picture in shown]
        if kind == "sd1":
            one = {"image": conditions[0], "controlnet_conditioning_scale": SCALES[0]}
            made = plain.quiet(pipeline(controls[0]))(**request, **one).images
            arrays["sd1/one"] = plain.channels_last(made)
        two = {"image": conditions, "controlnet_conditioning_scale": list(SCALES)}
        made = plain.quiet(pipeline(controls))(**request, **two).images
        arrays[f"{kind}/two"] = plain.channels_last(made)
    arrays["guidance"] = json.dumps(GUIDANCE)
    np.savez_compressed(folder / "controlled.npz", allow_pickle=False, **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

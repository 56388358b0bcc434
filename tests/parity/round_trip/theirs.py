"""Have diffusers and transformers write networks, and read what mdctl wrote of them: every setting, every bit.

theirs.py write FOLDER        FOLDER/theirs/<network>/<part>/, parameters drawn
                              FOLDER/whole/, a pipeline
theirs.py read FOLDER         compare FOLDER/ours, and FOLDER/published, with them
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    StableDiffusionPipeline,
    UNet2DConditionModel,
    WanTransformer3DModel,
)
from transformers import CLIPTextModel, CLIPTextModelWithProjection

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.parity.reference import controlnet, lora, stable_diffusion, wan_transformer

PARTS: Mapping[str, Any] = {
    "unet": UNet2DConditionModel,
    "text_encoder": CLIPTextModel,
    "text_encoder_2": CLIPTextModelWithProjection,
    "controlnet": ControlNetModel,
    "transformer": WanTransformer3DModel,
}
KINDS = ("sd1", "sd2", "sdxl")

TOKENIZERS = ("bos_token_id", "pad_token_id")
"""What a text encoder's file says of its tokenizer, and no network reads."""


def write(folder: Path) -> None:
    """Draw and save."""
    for kind in KINDS:
        parts = lora.parts_of(lora.draw_pipeline(kind))
        parts["controlnet"], _ = controlnet.draw(parts["unet"], seed=3)
        for name, network in parts.items():
            network.save_pretrained(folder / kind / name)
    wan_transformer.draw(wan_transformer.CONFIG)[0].save_pretrained(folder / "wan" / "transformer")


def write_pipeline(folder: Path) -> None:
    """Draw and save a whole pipeline."""
    text_encoder, _ = stable_diffusion.encoder(CLIPTextModel, stable_diffusion.WIDTHS[0], "quick_gelu", 1)
    vae, _ = stable_diffusion.drawn(AutoencoderKL(**stable_diffusion.VAE), 2)
    unet, _ = stable_diffusion.drawn(UNet2DConditionModel(**stable_diffusion.UNET), 3)
    pipeline = StableDiffusionPipeline(
        tokenizer=stable_diffusion.make_tokenizer(),
        text_encoder=text_encoder,
        vae=vae,
        unet=unet,
        scheduler=stable_diffusion.SCHEDULERS["ddim"],
        **stable_diffusion.PLAIN,
    )
    pipeline.save_pretrained(folder)


def read_pipeline(theirs: Path, ours: Path) -> None:
    """Sample with both; exit if a pixel differs."""
    first, second = (sampled(StableDiffusionPipeline.from_pretrained(folder)) for folder in (theirs, ours))
    if not (first == second).all():
        sys.exit("a whole model that mdctl published makes other pictures")
    print("a pipeline: loads from what mdctl published, and makes the same pictures")


def sampled(pipeline: Any) -> Any:
    """Return pictures of two prompts."""
    side = stable_diffusion.SIDE * stable_diffusion.SCALE
    made = stable_diffusion.quiet(pipeline)(
        prompt=stable_diffusion.PROMPTS,
        height=side,
        width=side,
        num_inference_steps=stable_diffusion.STEPS,
        generator=torch.Generator().manual_seed(0),
        output_type="np",
    )
    return made.images


def read(theirs: Path, ours: Path) -> None:
    """Load what both wrote; exit naming what differs, or print what was found the same."""
    for part in sorted(path.relative_to(theirs) for path in theirs.glob("*/*")):
        wrong = list(differences(PARTS[part.name], theirs / part, ours / part))
        if wrong:
            sys.exit(f"{part}: {', '.join(wrong)}")
        print(f"{part}: loads from what mdctl saved, bit for bit")


def differences(kind: Any, theirs: Path, ours: Path) -> Iterator[str]:
    """Yield what differs of a network in two folders, and what the loader had to leave out or make up."""
    expected = kind.from_pretrained(theirs)
    found, told = kind.from_pretrained(ours, output_loading_info=True)
    yield from (f"{name}: {keys}" for name, keys in told.items() if keys)
    settings, wanted = settings_of(found), settings_of(expected)
    for name in wanted.keys() | settings.keys():
        if settings.get(name) != wanted.get(name):
            yield f"{name} is {settings.get(name)}, and not {wanted.get(name)}"
    tensors = found.state_dict()
    yield from (name for name, tensor in expected.state_dict().items() if not torch.equal(tensor, tensors[name]))


def settings_of(network: Any) -> dict[str, Any]:
    """Return the settings of a network; names that begin with an underscore are the library's own notes."""
    config = network.config
    settings = dict(config) if isinstance(config, Mapping) else config.to_dict()
    return {
        name: _plain(value) for name, value in settings.items() if not name.startswith("_") and name not in TOKENIZERS
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


if __name__ == "__main__":
    verb, root = sys.argv[1], Path(sys.argv[2])
    if verb == "write":
        write(root / "theirs")
        write_pipeline(root / "whole")
    else:
        read(root / "theirs", root / "ours")
        read_pipeline(root / "whole", root / "published")

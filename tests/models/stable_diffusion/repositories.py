"""The reference's tiny models as repositories in the Hugging Face layout."""

import json
from pathlib import Path

from safetensors.numpy import save_file

from tests.parity.arrays import reference
from tests.parity.redraw import redraw

ARRAYS = reference("stable_diffusion")
REQUEST = json.loads(str(ARRAYS["request"]))
SCALE = 4
SEEDS = {"text_encoder": 1, "vae": 2, "unet": 3, "text_encoder_2": 4}
CLASSES = {"vae": "AutoencoderKL", "unet": "UNet2DConditionModel"}
STEMS = {"vae": "diffusion_pytorch_model", "unet": "diffusion_pytorch_model"}


def write_repository(folder: Path, kind: str, scheduler: str, *, zeros: bool = True) -> Path:
    """Write the models of `kind` (sd1, sd2, sdxl) with one of its schedulers; return the folder."""
    for part, seed in SEEDS.items():
        if f"{kind}/{part}/config.json" not in ARRAYS:
            continue
        (folder / part).mkdir(parents=True)
        config = json.loads(str(ARRAYS[f"{kind}/{part}/config.json"]))
        config |= {"_class_name": CLASSES[part]} if part in CLASSES else {}
        (folder / part / "config.json").write_text(json.dumps(config))
        tensors = redraw(json.loads(str(ARRAYS[f"{kind}/{part}/shapes"])), seed=seed)
        save_file(tensors, folder / part / f"{STEMS.get(part, 'model')}.safetensors")
        if part.startswith("text"):
            write_tokenizer(folder / part.replace("text_encoder", "tokenizer"))
    write_scheduler(folder, kind, scheduler)
    (folder / "model_index.json").write_text(json.dumps({"force_zeros_for_empty_prompt": zeros}))
    return folder


def write_tokenizer(folder: Path) -> None:
    """Write the reference's tokenizer."""
    folder.mkdir()
    for name in ARRAYS:
        if name.startswith("tokenizer/"):
            (folder / name.removeprefix("tokenizer/")).write_text(str(ARRAYS[name]))


def write_scheduler(folder: Path, kind: str, scheduler: str) -> None:
    """Write one of the schedulers of `kind`, in place of another."""
    (folder / "scheduler").mkdir(exist_ok=True)
    (folder / "scheduler" / "scheduler_config.json").write_text(str(ARRAYS[f"{kind}/{scheduler}/scheduler"]))

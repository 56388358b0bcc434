"""The reference's ControlNets as folders, and what they follow."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from mdctl.data.condition import as_numbers
from tests.parity.arrays import reference
from tests.parity.redraw import redraw

ARRAYS = reference("controlled")
SEEDS = (7, 8)
SCALES = tuple(float(scale) for scale in ARRAYS["scales"])
PICTURES: list[np.ndarray] = [as_numbers(picture) for picture in ARRAYS["pictures"]]


def write_controlnet(folder: Path, kind: str, number: int) -> Path:
    """Write one of the ControlNets of `kind` (sd1, sdxl); return the folder."""
    folder.mkdir()
    config = json.loads(str(ARRAYS[f"{kind}/config"]))
    (folder / "config.json").write_text(json.dumps({**config, "_class_name": "ControlNetModel"}))
    tensors = redraw(json.loads(str(ARRAYS[f"{kind}/shapes"])), seed=SEEDS[number])
    save_file(tensors, folder / "diffusion_pytorch_model.safetensors")
    return folder

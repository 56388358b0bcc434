"""The file that an adapter is in: which one of a folder, its tensors in float32, and what it says of scaling."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32
from safetensors import SafetensorError, safe_open

from mdctl.lora.pickles import read_pickle
from mdctl.spec.errors import WeightsError
from mdctl.storage.tensors import read_json

DIFFUSERS_NAME = "pytorch_lora_weights.safetensors"
PEFT_NAME = "adapter_model.safetensors"
PEFT_CONFIG = "adapter_config.json"
PEFT_PREFIX = "base_model.model."
"""What every key begins with that PEFT wrote."""

METADATA = "lora_adapter_metadata"
"""The entry of a file's header in which diffusers keeps the settings of each part's adapter."""

SAFETENSORS = ".safetensors"
PICKLES = (".bin", ".ckpt", ".pt", ".pth")


class LoraFile(NamedTuple):
    """Tensors by their keys, and PEFT's settings: of the whole file, or by part. None where there are none."""

    path: Path
    tensors: Mapping[str, Float32[np.ndarray, "..."]]
    config: Mapping[str, Any] | None
    part_configs: Mapping[str, Any] | None


def open_lora(path: Path, weight_name: str | None = None) -> LoraFile:
    """Read a file, or the one of a folder that `weight_name` names.

    Of files that PyTorch wrote, nothing but tensors is read. Raises WeightsError if there is no file, several of which
    none is named, one that is damaged, or one that holds anything else.
    """
    file = _find(path, weight_name)
    tensors, header = _read(file)
    is_peft = any(key.startswith(PEFT_PREFIX) for key in tensors)
    config = read_json(file.with_name(PEFT_CONFIG)) if is_peft else None
    return LoraFile(file, tensors, config, _part_configs(file, header))


def _find(path: Path, weight_name: str | None) -> Path:
    file = path / weight_name if weight_name and path.is_dir() else path
    if file.is_file():
        return file
    if not file.is_dir():
        raise WeightsError(f"{file}: there is no such file. {_contents(file.parent)}")
    found = sorted(entry.name for entry in file.iterdir() if entry.suffix in (SAFETENSORS, *PICKLES))
    names = [name for name in found if name.endswith(SAFETENSORS)] or found
    known = [name for name in names if Path(name).with_suffix(SAFETENSORS).name in (DIFFUSERS_NAME, PEFT_NAME)] or names
    if len(known) == 1:
        return file / known[0]
    if len(known) > 1:
        raise WeightsError(f"{file}: holds several LoRAs, {', '.join(known)}. Say which by weight_name.")
    raise WeightsError(f"{file}: no {SAFETENSORS} here. {_contents(file)}")


def _read(file: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    if file.suffix in PICKLES:
        return read_pickle(file), {}
    try:
        with safe_open(file, framework="np") as opened:
            tensors = {key: np.asarray(opened.get_tensor(key), np.float32) for key in opened.keys()}  # noqa: SIM118
            return tensors, opened.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{file}: is no safetensors file, or damaged ({error}). Fetch it again.") from error


def _part_configs(file: Path, header: Mapping[str, str]) -> dict[str, Any] | None:
    if METADATA not in header:
        return None
    try:
        settings = json.loads(header[METADATA])
    except ValueError:
        settings = None
    if not isinstance(settings, dict):
        raise WeightsError(f"{file}: {METADATA} in its header is no JSON object. Fetch it again.")
    return settings


def _contents(folder: Path) -> str:
    if not folder.is_dir():
        return "Its folder does not exist either."
    names = sorted(entry.name for entry in folder.iterdir())
    return f"The folder holds: {', '.join(names[:8]) or 'nothing'}{', ...' if len(names) > 8 else ''}."

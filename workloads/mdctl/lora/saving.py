"""Adapters written as diffusers and PEFT read them, settings and all, so that their scale comes with them."""

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from mdctl.lora.adapter import Pairs
from mdctl.lora.files import DIFFUSERS_NAME, METADATA, PEFT_CONFIG, PEFT_NAME, PEFT_PREFIX
from mdctl.lora.modules import Modules
from mdctl.lora.placing import Placed, take_back
from mdctl.spec.errors import OutputError

# Encoders keep to the older ends: of newer ones diffusers does not know those of every module.
ENDS = {True: ("lora_linear_layer.down", "lora_linear_layer.up"), False: ("lora_A", "lora_B")}


def save(folder: Path, adapters: Mapping[str, Placed], parts: Mapping[str, Modules]) -> None:
    """Write the adapters of a pipeline's parts as one file, which diffusers' `load_lora_weights(folder)` reads.

    Every process of a job may call this; the first one writes. Raises OutputError if it cannot.
    """
    tensors: dict[str, np.ndarray] = {}
    settings: dict[str, Any] = {}
    for part, placed in adapters.items():
        pairs = take_back(placed, parts[part])
        tensors |= _tensors(pairs, f"{part}.", *ENDS[part.startswith("text_encoder")])
        settings |= {f"{part}.{name}": value for name, value in _settings(pairs, parts[part]).items()}
    metadata = {"format": "pt", METADATA: json.dumps(settings, indent=2, sort_keys=True)}
    _write(folder / DIFFUSERS_NAME, lambda path: save_file(tensors, path, metadata=metadata))


def save_peft(folder: Path, placed: Placed, modules: Modules) -> None:
    """Write the adapter of one network as PEFT's `PeftModel.from_pretrained(network, folder)` reads it; as `save`."""
    pairs = take_back(placed, modules)
    settings = {"peft_type": "LORA", "bias": "none", "inference_mode": True, **_settings(pairs, modules)}
    tensors = _tensors(pairs, PEFT_PREFIX, *ENDS[False])
    _write(folder / PEFT_NAME, lambda path: save_file(tensors, path, metadata={"format": "pt"}))
    _write(folder / PEFT_CONFIG, lambda path: path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n"))


def _tensors(pairs: Pairs, beginning: str, down: str, up: str) -> dict[str, np.ndarray]:
    ends = {down: lambda pair: pair.down, up: _as_layer}
    return {f"{beginning}{name}.{end}.weight": of(pair) for name, pair in pairs.items() for end, of in ends.items()}


def _as_layer(pair: Any) -> np.ndarray:
    """Return the factor up in as many dims as the other has: for a convolution, one of a single position."""
    up: np.ndarray = pair.up.reshape(*pair.up.shape, *(1 for _ in pair.down.shape[2:]))
    return up


def _settings(pairs: Pairs, modules: Modules) -> dict[str, Any]:
    """Return PEFT's settings: the commonest rank and alpha, and patterns for every other.

    A pattern matches any name that the module is published by, and that of no other module.
    """
    names = {name: [other for other, module in modules.items() if module.name == name] for name in pairs}
    patterns = {
        name: f"^{others[0]}" if len(others) == 1 else f"^({'|'.join(others)})" for name, others in names.items()
    }
    ranks = {name: pair.rank for name, pair in pairs.items()}
    alphas = {name: int(pair.alpha) if pair.alpha == int(pair.alpha) else pair.alpha for name, pair in pairs.items()}
    rank, alpha = (Counter(values.values()).most_common(1)[0][0] for values in (ranks, alphas))
    return {
        "r": rank,
        "lora_alpha": alpha,
        "rank_pattern": {patterns[name]: value for name, value in ranks.items() if value != rank},
        "alpha_pattern": {patterns[name]: value for name, value in alphas.items() if value != alpha},
        "target_modules": sorted(min(others, key=len) for others in names.values()),
    }


def _write(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file under another name and rename it when it is whole."""
    if jax.process_index() != 0:
        return
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(partial)
        os.replace(partial, path)
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        raise OutputError(
            f"{path}: the LoRA cannot be written ({error}). Free space or name another folder."
        ) from error

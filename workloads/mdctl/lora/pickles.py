"""Tensors of a file that PyTorch wrote, without PyTorch, and without running what such a file may hold.

The file is a zip: `data.pkl` says which tensors there are, and `data/N` are their bytes. A pickle may name any function
to be called as it is read; here it gets those that put tensors together, and for anything else the file is refused.
"""

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32

from mdctl.spec.errors import WeightsError

STORAGES: Mapping[str, Any] = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": jnp.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
}


def read_pickle(file: Path) -> dict[str, Float32[np.ndarray, "..."]]:
    """Return the tensors of a file by their keys; raises WeightsError if it holds anything else, or is damaged."""
    try:
        with zipfile.ZipFile(file) as archive:
            listing = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
            if listing is None:
                raise WeightsError(_way_out(file, "holds no data.pkl"))
            with archive.open(listing) as opened:
                content = _Reader(opened, archive, listing.removesuffix(".pkl")).load()
    except (zipfile.BadZipFile, pickle.UnpicklingError, EOFError, KeyError, ValueError, TypeError) as error:
        raise WeightsError(_way_out(file, str(error))) from error
    tensors = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(tensors, dict) or not all(isinstance(value, np.ndarray) for value in tensors.values()):
        raise WeightsError(_way_out(file, "is no mapping of keys to tensors"))
    return {str(key): np.asarray(value, np.float32) for key, value in tensors.items()}


class _Reader(pickle.Unpickler):
    """Read `data.pkl`, knowing tensors and mappings of them alone."""

    def __init__(self, opened: Any, archive: zipfile.ZipFile, folder: str):
        super().__init__(opened, encoding="utf-8")
        self.archive, self.folder = archive, folder

    def find_class(self, module: str, name: str) -> Any:
        known: dict[tuple[str, str], Callable[..., Any]] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
            ("torch._utils", "_rebuild_parameter"): lambda values, *_: values,
        }
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no tensor")
        return known[module, name]

    def persistent_load(self, pid: Any) -> np.ndarray:
        kind, dtype, key, *_ = pid
        if kind != "storage":
            raise pickle.UnpicklingError(f"it asks for a {kind}, which is no tensor")
        return np.frombuffer(self.archive.read(f"{self.folder}/{key}"), dtype)


def _rebuild(storage: np.ndarray, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> np.ndarray:
    """Return a view of a storage, by offset and strides in elements; raise ValueError if it goes beyond."""
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if min(offset, *shape, *strides) < 0 or last >= len(storage):
        raise ValueError(f"a tensor of shape {shape} goes beyond its storage of {len(storage)}")
    return np.lib.stride_tricks.as_strided(
        storage[offset:], shape, [stride * storage.itemsize for stride in strides], writeable=False
    )


def _way_out(file: Path, problem: str) -> str:
    made = file.with_suffix(".safetensors").name
    return (
        f"{file}: cannot be read as tensors alone: {problem}. If you trust it, where PyTorch is installed\n"
        f'  python -c "import torch, safetensors.torch as s; '
        f"s.save_file(torch.load('{file.name}', weights_only=True), '{made}')\"\n"
        f"makes a file that can."
    )

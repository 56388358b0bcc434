"""Files that PyTorch wrote: their tensors are read, and nothing that they may ask for is done."""

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mdctl.lora.files import open_lora
from mdctl.lora.pickles import read_pickle
from mdctl.spec.errors import WeightsError
from tests.parity.arrays import DATA


def write(path: Path, content: Any, listing: str = "archive/data.pkl") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(listing, content if isinstance(content, bytes) else pickle.dumps(content))
    return path


def test_what_pytorch_wrote_is_read() -> None:
    tensors, same = open_lora(DATA / "lora_pickle").tensors, open_lora(DATA / "lora_old").tensors
    assert tensors.keys() == same.keys()
    for key, values in tensors.items():
        assert values.dtype == np.float32
        kept = same[key].astype(np.float16) if key.endswith("up.weight") else same[key]
        np.testing.assert_array_equal(values, kept)


class Touch:
    """Make a file when it is read."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_what_it_asks_for_is_not_done(tmp_path: Path) -> None:
    path = write(tmp_path / "lora.pt", {"key": Touch(tmp_path / "made")})
    with pytest.raises(
        WeightsError, match=r"lora\.pt: .* it asks for posix\.mkdir, which is no tensor\. If you trust it"
    ):
        open_lora(path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([1], "is no mapping of keys to tensors"),
        ({"a": 1}, "is no mapping of keys to tensors"),
        (OrderedDict(a="text"), "is no mapping of keys to tensors"),
        (b"", "Ran out of input"),
    ],
)
def test_what_is_no_tensors_is_refused_with_the_way_out(tmp_path: Path, content: Any, problem: str) -> None:
    path = write(tmp_path / "lora.bin", content)
    with pytest.raises(WeightsError, match=rf"cannot be read as tensors alone: {problem}(.|\n)*weights_only=True"):
        read_pickle(path)


def test_the_format_of_old_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "lora.ckpt").write_bytes(pickle.dumps({}))
    with pytest.raises(
        WeightsError, match=r"File is not a zip file(.|\n)*'lora\.ckpt', weights_only=True.*lora\.safetensors"
    ):
        open_lora(tmp_path)
    with pytest.raises(WeightsError, match=r"holds no data\.pkl"):
        read_pickle(write(tmp_path / "lora.ckpt", {}, "readme"))


@pytest.mark.parametrize(("shape", "stride", "fits"), [((2, 2), 2, True), ((2, 3), 2, False), ((3, 2), 2, False)])
def test_a_tensor_lies_within_its_storage(tmp_path: Path, shape: Any, stride: int, fits: bool) -> None:
    """Rewrite a tensor's shape: the pickle is made by hand, as PyTorch's are."""
    out = io.BytesIO()
    out.write(b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\n")
    out.write(b"FloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQK\x00")
    out.write(b"K%cK%c\x86K%cK\x01\x86\x89}tRs." % (shape[0], shape[1], stride))
    path = tmp_path / "lora.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", out.getvalue())
        archive.writestr("a/data/0", np.arange(4, dtype=np.float32).tobytes())
    if fits:
        np.testing.assert_array_equal(read_pickle(path)["a"], [[0, 1], [2, 3]])
    else:
        with pytest.raises(WeightsError, match="goes beyond its storage of 4"):
            read_pickle(path)

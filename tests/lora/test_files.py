"""Which file of a folder it is, and what is said where there is none."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mdctl.lora.files import DIFFUSERS_NAME, open_lora
from mdctl.spec.errors import WeightsError


def write(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    save_file({path.stem: np.ones(1, np.float32)}, path)
    return path


def test_the_only_file_is_taken(tmp_path: Path) -> None:
    path = write(tmp_path / "style.safetensors")
    assert open_lora(tmp_path).path == open_lora(path).path == path


def test_the_published_name_goes_before_others(tmp_path: Path) -> None:
    path = write(tmp_path / DIFFUSERS_NAME)
    write(tmp_path / "other.safetensors")
    (tmp_path / DIFFUSERS_NAME).with_suffix(".bin").touch()
    assert open_lora(tmp_path).path == path


def test_one_of_several_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a.safetensors")
    path = write(tmp_path / "b.safetensors")
    assert open_lora(tmp_path, "b.safetensors").path == path
    with pytest.raises(WeightsError, match=r"several LoRAs, a\.safetensors, b\.safetensors\. Say which by weight_name"):
        open_lora(tmp_path)
    with pytest.raises(WeightsError, match=r"c\.safetensors: there is no such file\. The folder holds: a\.safetensors"):
        open_lora(tmp_path, "c.safetensors")


def test_a_folder_without_one_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "README.md").touch()
    with pytest.raises(WeightsError, match=r"no \.safetensors here\. The folder holds: README\.md"):
        open_lora(tmp_path)
    with pytest.raises(WeightsError, match=r"none: there is no such file"):
        open_lora(tmp_path / "none")


def test_a_damaged_file_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"<html>")
    with pytest.raises(WeightsError, match=r"a\.safetensors: is no safetensors file, or damaged"):
        open_lora(tmp_path)

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError

from mdctl.spec.errors import OutputError, WeightsError
from mdctl.storage import tensors
from mdctl.storage.tensors import Spec, open_tensors, read_json, write_tensors

NAMES = ("a", "b", "c")
SPECS = {name: Spec((4, 2), np.dtype(np.float32)) for name in NAMES}
INDEX = "diffusion_pytorch_model.safetensors.index.json"


def value(name: str) -> np.ndarray:
    return np.full((4, 2), NAMES.index(name), np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tensors(tmp_path / "model", SPECS, value, config={}, max_file_bytes=64)
    return tmp_path / "model"


def test_files_are_named_as_published(folder: Path) -> None:
    files = [f"diffusion_pytorch_model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", *files, INDEX]
    index = read_json(folder / INDEX)
    assert index == {
        "metadata": {"total_size": 96},
        "weight_map": dict(zip(NAMES, [files[0]] * 2 + files[1:], strict=True)),
    }


def test_slices_read_parts(folder: Path) -> None:
    opened = open_tensors(folder)
    assert opened.keys() == set(NAMES)
    assert opened["b"].get_shape() == [4, 2]
    np.testing.assert_array_equal(opened["c"][1:3, :1], [[2], [2]])


def test_transformers_names_are_read_too(tmp_path: Path) -> None:
    write_tensors(tmp_path / "model", SPECS, value, config={}, stem="model")
    assert open_tensors(tmp_path / "model").keys() == set(NAMES)


def test_writing_again_replaces_everything(folder: Path) -> None:
    write_tensors(folder, SPECS, value, config={"new": True})
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "diffusion_pytorch_model.safetensors"]
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_failed_write_leaves_what_was_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(tensors, "save_file", full)
    with pytest.raises(OutputError, match=r"model: weights cannot be written .*No space left.* Free space"):
        write_tensors(folder, SPECS, value, config={})
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
    assert open_tensors(folder).keys() == set(NAMES)


def test_a_place_that_is_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file/model: weights cannot be written"):
        write_tensors(tmp_path / "file" / "model", SPECS, value, config={})


@pytest.mark.parametrize("keep", [0, 4, 20, -1])
def test_a_file_cut_short_is_named(folder: Path, keep: int) -> None:
    path = folder / "diffusion_pytorch_model-00002-of-00002.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(WeightsError, match=r"00002-of-00002\.safetensors: is damaged or cut short"):
        open_tensors(folder)


def test_a_file_that_is_not_safetensors_is_named(folder: Path) -> None:
    path = folder / "diffusion_pytorch_model-00001-of-00002.safetensors"
    path.write_text("<html>Not found</html>" * 10)
    with pytest.raises(WeightsError, match=r"00001-of-00002\.safetensors: is damaged"):
        open_tensors(folder)


def test_a_file_missing_from_the_folder_is_named(folder: Path) -> None:
    (folder / "diffusion_pytorch_model-00002-of-00002.safetensors").unlink()
    with pytest.raises(
        WeightsError, match=r"00002-of-00002\.safetensors: the index names this file, but it is not there"
    ):
        open_tensors(folder)


def test_an_index_that_is_wrong_is_named(folder: Path) -> None:
    index = read_json(folder / INDEX)
    index["weight_map"]["d"] = index["weight_map"]["a"]
    (folder / INDEX).write_text(json.dumps(index))
    with pytest.raises(WeightsError, match=r"index\.json: 1 tensors are not where it says, as d in"):
        open_tensors(folder)
    (folder / INDEX).write_text('{"weight_map": 3}')
    with pytest.raises(WeightsError, match="has no weight_map"):
        open_tensors(folder)


def test_a_folder_without_weights_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="The folder itself does not exist"):
        open_tensors(tmp_path / "none")
    (tmp_path / "pytorch_model.bin").write_text("")
    with pytest.raises(WeightsError, match=r"there is no .*safetensors.* The folder holds: pytorch_model.bin\."):
        open_tensors(tmp_path)


@pytest.mark.parametrize(("text", "says"), [("{", "cannot be read as JSON"), ("[1]", "holds a list"), ("\xff", "JSON")])
def test_a_config_that_is_no_object_is_named(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(WeightsError, match=f"config.json: .*{says}"):
        read_json(tmp_path / "config.json")
    with pytest.raises(WeightsError, match="there is no such file"):
        read_json(tmp_path / "other.json")

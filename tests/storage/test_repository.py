import json
from pathlib import Path

import pytest

from mdctl.spec.errors import WeightsError
from mdctl.storage.repository import local_repository, pipeline_files


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    assert local_repository(str(tmp_path)) == tmp_path


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("does/not-exist", "for the hub write hf://does/not-exist"),
        ("/does/not/exist", "no such folder"),
        ("hf://bad name/x!", "not a name that the hub has"),
    ],
)
def test_what_is_not_there_is_said(location: str, says: str) -> None:
    with pytest.raises(WeightsError, match=says):
        local_repository(location)


def test_a_file_is_no_repository(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"")
    with pytest.raises(WeightsError, match="name the folder that holds it"):
        local_repository(str(file))


def test_without_the_hub_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match="copy the repository to a folder or gs://"):
        local_repository("hf://nobody/nothing")


INDEX = json.dumps({"_class_name": "A", "vae": ["diffusers", "B"], "tokenizer": ["transformers", "C"]})
TAKEN = [
    "tokenizer/merges.txt",
    "tokenizer/vocab.json",
    "vae/config.json",
    "vae/model-00001-of-00002.safetensors",
    "vae/model.safetensors.index.json",
]
LEFT = [
    "vae/model.fp16.safetensors",
    "vae/model.safetensors.index.fp16.json",
    "vae/model.non_ema.safetensors",
    "vae/pytorch_model.bin",
    "vae/pytorch_model.bin.index.json",
    "all.safetensors",
    "README.md",
]


def test_of_a_repository_that_is_taken_which_loaders_need(tmp_path: Path) -> None:
    for name in (*TAKEN, *LEFT, "vae_1_0/config.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    without_index = ["vae_1_0/config.json"]
    assert [str(file) for file in pipeline_files(tmp_path)] == sorted([*TAKEN, *without_index])
    (tmp_path / "model_index.json").write_text(INDEX)
    assert [str(file) for file in pipeline_files(tmp_path)] == ["model_index.json", *TAKEN]

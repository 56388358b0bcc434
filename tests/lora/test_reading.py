"""What is read of a file, and what is said of one that does not fit."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from mdctl.lora.files import METADATA
from mdctl.lora.keys import FOREIGN
from mdctl.lora.modules import Module
from mdctl.lora.reading import read
from mdctl.spec.errors import WeightsError

SHAPES = {"a.to_q": (4, 3), "a.conv": (4, 3, 3, 3), "a.point": (4, 3, 1, 1)}
UNET = {name: Module(name, shape, f"{name}.kernel", None, "") for name, shape in SHAPES.items()}
ENCODER = {name: Module(name, (4, 3), f"{name}.kernel", None, "") for name in ("b.q_proj", "b.to_q")}
PARTS = {"unet": UNET, "text_encoder": ENCODER}


def pair(stem: str, down: tuple[int, ...] = (2, 3), up: tuple[int, ...] = (4, 2), **alpha: float) -> dict[str, Any]:
    tensors = {f"{stem}.lora_A.weight": np.ones(down, np.float32), f"{stem}.lora_B.weight": np.ones(up, np.float32)}
    return tensors | {f"{stem}.{name}": np.array(value, np.float32) for name, value in alpha.items()}


def write(folder: Path, tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> Path:
    save_file(dict(tensors), folder / "lora.safetensors", metadata=dict(metadata) if metadata else None)
    return folder / "lora.safetensors"


def refusal(folder: Path, tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> str:
    path = write(folder, tensors, metadata)
    with pytest.raises(WeightsError) as error:
        read(path, PARTS)
    assert str(error.value).startswith(str(folder))
    return str(error.value)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, jnp.bfloat16, np.float64])
def test_any_float_becomes_float32(tmp_path: Path, dtype: Any) -> None:
    tensors = {key: (values * 1.5).astype(dtype) for key, values in pair("unet.a.to_q").items()}
    read_pair = read(write(tmp_path, tensors), PARTS)["unet"]["a.to_q"]
    assert read_pair.down.dtype == read_pair.up.dtype == np.float32
    np.testing.assert_array_equal(read_pair.down, np.full((2, 3), 1.5))
    assert read_pair.alpha == read_pair.rank == 2


def test_an_alpha_is_read(tmp_path: Path) -> None:
    assert read(write(tmp_path, pair("unet.a.to_q", alpha=0.5)), PARTS)["unet"]["a.to_q"].alpha == 0.5


def test_a_layer_of_one_position_is_linear_whichever_way_it_is_written(tmp_path: Path) -> None:
    tensors = {**pair("unet.a.point"), **pair("unet.a.to_q", (2, 3, 1, 1), (4, 2, 1, 1))}
    adapter = read(write(tmp_path, tensors), PARTS)["unet"]
    assert adapter["a.point"].down.shape == (2, 3, 1, 1)
    assert adapter["a.to_q"].down.shape == (2, 3)
    assert {values.up.shape for values in adapter.values()} == {(4, 2)}


def test_keys_that_do_not_say_their_part_are_of_the_one_they_fit(tmp_path: Path) -> None:
    assert [*read(write(tmp_path, pair("b.q_proj")), PARTS)] == ["text_encoder"]
    path = write(tmp_path, pair("a.to_q"))
    with pytest.raises(WeightsError, match=r"fit unet and transformer alike.*as unet\.a\.to_q\.lora_A\.weight"):
        read(path, {"unet": UNET, "transformer": UNET})


def test_everything_that_does_not_fit_is_told_of(tmp_path: Path) -> None:
    tensors = {
        **pair("unet.a.to_z"),
        **pair("unet.c.1.to_q"),
        **pair("unet.c.2.to_q"),
        **pair("text_encoder_2.b.q_proj"),
        **pair("unet.a.conv", (2, 3), (4, 2)),
        **pair("unet.a.point", (2, 3), (4, 3)),
        **pair("text_encoder.b.q_proj", alpha=0.0),
        "unet.a.to_q.lora_A.weight": np.ones((2, 3), np.float32),
        "b.q_proj.something": np.ones(2, np.float32),
    }
    said = refusal(tmp_path, tensors).split("\n")
    unknown = "  unknown: "
    assert said[0].endswith("this LoRA is not for this model, of unet, text_encoder. Check model and LoRA.")
    assert sorted(said[1:]) == sorted(
        [
            f"{unknown}b.q_proj.something",
            f"{unknown}text_encoder_2.b.q_proj.lora_A.weight",
            f"{unknown}text_encoder_2.b.q_proj.lora_B.weight",
            f"{unknown}unet.a.to_z.lora_A.weight",
            f"{unknown}unet.a.to_z.lora_B.weight",
            f"{unknown}unet.c.1.to_q.lora_A.weight and 1 like it",
            f"{unknown}unet.c.1.to_q.lora_B.weight and 1 like it",
            "  down factor of shape (2, 3) where the module's is (4, 3, 3, 3): unet.a.conv",
            "  rank 2 down and 3 up: unet.a.point",
            "  alpha 0.0 is no positive number: text_encoder.b.q_proj",
            "  has no up factor: unet.a.to_q",
        ]
    )


def test_what_is_wrong_fits_a_screen(tmp_path: Path) -> None:
    words = [f"{a}{b}" for a in "abcdef" for b in "abcdefg"]
    tensors = {f"unet.{word}.{i}.lora_A.weight": np.ones((2, 3), np.float32) for word in words for i in range(3)}
    said = refusal(tmp_path, tensors).split("\n")
    assert len(said) == 32
    assert said[1].endswith("unet.aa.0.lora_A.weight and 2 like it")
    assert said[-1] == "  and 12 more lines like these"


def test_a_module_said_twice_is_told_of(tmp_path: Path) -> None:
    tensors = {**pair("unet.a.to_q"), "lora_unet_a_to_q.lora_down.weight": np.ones((2, 3), np.float32)}
    assert "of a module that another key is of as well: unet.a.to_q.lora_A.weight" in refusal(tmp_path, tensors)


def test_an_empty_file_is_told_of(tmp_path: Path) -> None:
    assert "it holds no factors at all" in refusal(tmp_path, {})


@pytest.mark.parametrize("mark", FOREIGN)
def test_other_kinds_are_refused_by_name(tmp_path: Path, mark: str) -> None:
    said = refusal(tmp_path, {**pair("unet.a.to_q"), f"unet.a.{mark}": np.ones(1, np.float32)})
    assert f"holds {FOREIGN[mark]}, of which none is implemented; only LoRA is" in said


def test_settings_in_the_header_are_of_their_part(tmp_path: Path) -> None:
    tensors = {**pair("unet.a.to_q"), **pair("text_encoder.b.q_proj")}
    settings = {"unet.r": 2, "unet.lora_alpha": 8}
    adapter = read(write(tmp_path, tensors, {METADATA: json.dumps(settings)}), PARTS)
    assert adapter["unet"]["a.to_q"].alpha == 8
    assert adapter["text_encoder"]["b.q_proj"].alpha == 2


def test_settings_that_say_another_rank_are_told_of(tmp_path: Path) -> None:
    said = refusal(tmp_path, pair("unet.a.to_q"), {METADATA: json.dumps({"unet.r": 4, "unet.lora_alpha": 8})})
    assert "rank 2 where the settings say 4: unet.a.to_q" in said


@pytest.mark.parametrize("header", ["[]", "{"])
def test_a_broken_header_is_told_of(tmp_path: Path, header: str) -> None:
    assert "lora_adapter_metadata in its header is no JSON object" in refusal(
        tmp_path, pair("unet.a.to_q"), {METADATA: header}
    )


def test_what_peft_wrote_needs_its_settings(tmp_path: Path) -> None:
    assert "adapter_config.json: there is no such file" in refusal(tmp_path, pair("base_model.model.a.to_q"))
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 2, "lora_alpha": 5}))
    assert read(tmp_path, PARTS)["unet"]["a.to_q"].alpha == 5

"""What is saved is read back the same, and a write that fails leaves what was there."""

from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors import SafetensorError

from mdctl.lora import saving
from mdctl.lora.fresh import fresh
from mdctl.lora.placing import Factors, Placed, place
from mdctl.lora.reading import read
from mdctl.lora.saving import save, save_peft
from mdctl.spec.errors import OutputError
from tests.lora.pipelines import all_modules

SDXL = all_modules("sdxl")
TARGETS = {"unet": ["to_k", "conv1", "2.attn1.to_q"], "text_encoder": ["fc1"], "text_encoder_2": ["text_projection"]}


def trained_adapter(part: str, alpha: float = 3) -> Placed:
    placed = fresh(SDXL[part], TARGETS[part], rank=4, alpha=alpha, key=jax.random.key(0))
    rng = np.random.default_rng(0)
    return {
        name: factors._replace(up=np.float32(rng.normal(size=factors.up.shape)) * _mask(factors))
        for name, factors in placed.items()
    }


def _mask(factors: Factors) -> np.ndarray:
    """Return 1 for the layers of a stack that have an adapter, 0 for others."""
    scale = np.asarray(factors.scale)
    return np.asarray(scale != 0, np.float32).reshape(*scale.shape, 1, 1)


def assert_same(ours: Placed, theirs: Placed) -> None:
    assert ours.keys() == theirs.keys()
    for name, factors in ours.items():
        for values, others in zip(factors, theirs[name], strict=True):
            np.testing.assert_array_equal(values, others)


def test_all_parts_come_back(tmp_path: Path) -> None:
    adapters = {part: trained_adapter(part) for part in SDXL}
    save(tmp_path / "out", adapters, SDXL)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["pytorch_lora_weights.safetensors"]
    adapter = read(tmp_path / "out", SDXL)
    for part, placed in adapters.items():
        assert_same(place(adapter[part], SDXL[part]), placed)
    assert "down_blocks.1.attentions.0.transformer_blocks.2.attn1.to_q" in adapter["unet"]
    assert "down_blocks.1.attentions.0.transformer_blocks.1.attn1.to_q" not in adapter["unet"]


def test_an_alpha_that_is_no_whole_number_comes_back(tmp_path: Path) -> None:
    save(tmp_path, {"unet": trained_adapter("unet", alpha=0.3)}, SDXL)
    assert_same(place(read(tmp_path, SDXL)["unet"], SDXL["unet"]), trained_adapter("unet", alpha=0.3))


def test_what_was_never_trained_is_saved_too(tmp_path: Path) -> None:
    placed = fresh(SDXL["unet"], ["to_k"], rank=4, alpha=2, key=jax.random.key(0))
    save(tmp_path, {"unet": placed}, SDXL)
    assert_same(place(read(tmp_path, SDXL)["unet"], SDXL["unet"]), placed)


def test_peft_format_comes_back(tmp_path: Path) -> None:
    save_peft(tmp_path, trained_adapter("unet"), SDXL["unet"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    assert_same(place(read(tmp_path, SDXL)["unet"], SDXL["unet"]), trained_adapter("unet"))


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, {"unet": trained_adapter("unet")}, SDXL)

    def full(tensors: object, path: Path, **_: object) -> None:
        path.write_bytes(b"half")
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(saving, "save_file", full)
    with pytest.raises(
        OutputError, match=r"pytorch_lora_weights\.safetensors: the LoRA cannot be written .*No space left"
    ):
        save(tmp_path, {"unet": trained_adapter("unet", alpha=1)}, SDXL)
    assert [path.name for path in tmp_path.iterdir()] == ["pytorch_lora_weights.safetensors"]
    assert_same(place(read(tmp_path, SDXL)["unet"], SDXL["unet"]), trained_adapter("unet"))

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers.pre_tokenizers import ByteLevel

from mdctl.models.clip import Tokenizer
from mdctl.spec.errors import WeightsError

BEGIN, END = "<|startoftext|>", "<|endoftext|>"
MERGES = ("c a", "ca t</w>", "d o", "do g</w>", "a n", "an d</w>")
SYMBOLS = sorted(ByteLevel.alphabet())
VOCABULARY = [*SYMBOLS, *(symbol + "</w>" for symbol in SYMBOLS), *("".join(merge.split()) for merge in MERGES)]
NUMBERS = {token: number for number, token in enumerate([*VOCABULARY, BEGIN, END])}


def added(content: str) -> dict[str, Any]:
    """Return a token as older versions of transformers wrote it."""
    return {"content": content, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}


def write(folder: Path, pad: str = END, **settings: Any) -> Path:
    """Write a tokenizer as the repositories of Stable Diffusion have it."""
    folder.mkdir(exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(NUMBERS))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES, ""]))
    special = {"bos_token": added(BEGIN), "eos_token": added(END), "pad_token": pad, "unk_token": added(END)}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    typed = {name: {"__type": "AddedToken", **token} for name, token in special.items() if isinstance(token, dict)}
    config = {"tokenizer_class": "CLIPTokenizer", "pad_token": pad, "model_max_length": 77, "do_lower_case": True}
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, **typed, **settings}))
    return folder


def numbers(*tokens: str) -> list[int]:
    return [NUMBERS[token] for token in tokens]


def padded(ids: list[int], pad: str, length: int = 77) -> list[int]:
    return ids + [NUMBERS[pad]] * (length - len(ids))


@pytest.mark.parametrize("pad", [END, "!"])
def test_a_prompt_begins_ends_and_is_padded(tmp_path: Path, pad: str) -> None:
    ids = Tokenizer.load(write(tmp_path, pad))(["A Cat  and\na DOG", "", "c4t's"])
    assert ids.dtype == np.int32
    words = ("a</w>", "cat</w>", "and</w>", "a</w>", "dog</w>")
    assert ids.tolist() == [
        padded(numbers(BEGIN, *words, END), pad),
        padded(numbers(BEGIN, END), pad),
        padded(numbers(BEGIN, "c</w>", "4</w>", "t</w>", "'", "s</w>", END), pad),
    ]


def test_no_prompts_are_no_rows(tmp_path: Path) -> None:
    assert Tokenizer.load(write(tmp_path))([]).shape == (0, 77)


def test_the_padding_of_the_repository_is_one_token_in_a_prompt_too(tmp_path: Path) -> None:
    (ids,) = Tokenizer.load(write(tmp_path, "!"))(["cat!"])
    assert ids[:4].tolist() == numbers(BEGIN, "cat</w>", "!", END)


@pytest.mark.parametrize("pad", [END, "!"])
def test_a_folder_with_a_tokenizer_json_alone_gives_the_same(tmp_path: Path, pad: str) -> None:
    tokenizer = Tokenizer.load(write(tmp_path / "two", pad))
    tokenizer.published.save_pretrained(str(tmp_path / "one"))
    assert not (tmp_path / "one" / "vocab.json").exists()
    prompts = ["a cat and a dog!", "", "do you?"]
    np.testing.assert_array_equal(Tokenizer.load(tmp_path / "one")(prompts), tokenizer(prompts))


def test_a_prompt_that_is_too_long_is_cut_and_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = Tokenizer.load(write(tmp_path))
    prompt = "cat " * 75 + "and a dog"
    with caplog.at_level(logging.WARNING):
        ids = tokenizer([prompt, "a cat"])
    assert ids[0].tolist() == numbers(BEGIN, *["cat</w>"] * 75, END)
    assert ids[0].tolist() == tokenizer.published(prompt, truncation=True, max_length=77)["input_ids"]
    (record,) = caplog.records
    assert "80 tokens and only 77 count" in record.message
    assert "loses 'and a dog'" in record.message


def test_a_prompt_that_just_fits_is_not_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (ids,) = Tokenizer.load(write(tmp_path))(["cat " * 75])
    assert ids.tolist() == numbers(BEGIN, *["cat</w>"] * 75, END)
    assert not caplog.records


def test_a_tokenizer_may_say_that_fewer_tokens_count(tmp_path: Path) -> None:
    assert Tokenizer.load(write(tmp_path, model_max_length=8))(["a cat"]).shape == (1, 8)


@pytest.mark.parametrize("missing", ["vocab.json", "merges.txt"])
def test_a_folder_without_a_vocabulary_is_refused(tmp_path: Path, missing: str) -> None:
    (write(tmp_path) / missing).unlink()
    with pytest.raises(WeightsError, match=missing):
        Tokenizer.load(tmp_path)


def test_a_damaged_vocabulary_is_refused(tmp_path: Path) -> None:
    (write(tmp_path) / "vocab.json").write_text("{")
    with pytest.raises(WeightsError, match=str(tmp_path)):
        Tokenizer.load(tmp_path)


def test_a_tokenizer_that_ends_prompts_otherwise_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "whole"
    Tokenizer.load(write(tmp_path / "two")).published.save_pretrained(str(folder))
    whole = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps({**whole, "post_processor": None}))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match=r"an empty prompt becomes \[\]"):
        Tokenizer.load(folder)

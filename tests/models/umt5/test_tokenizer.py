import json
import logging
from pathlib import Path

import numpy as np
import pytest

from mdctl.models.umt5 import Tokenizer, write_text_encoder
from mdctl.models.umt5.tokenizer import EOS_ID, PAD_ID, UNK_ID, clean
from mdctl.spec.errors import OutputError, WeightsError

CAPTIONS = ("a grey rabbit climbs out of its burrow", "the white roof of a van seen from above")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    write_text_encoder(folder, CAPTIONS, seed=0)
    return folder


@pytest.fixture(scope="module")
def tokenizer(repository: Path) -> Tokenizer:
    return Tokenizer.load(repository / "tokenizer", length=64)


def test_a_prompt_ends_and_is_padded(tokenizer: Tokenizer) -> None:
    ids, mask = tokenizer([CAPTIONS[0], ""])
    assert ids.shape == mask.shape == (2, 64)
    assert ids.dtype == np.int32
    length = int(mask[0].sum())
    assert ids[0, length - 1] == EOS_ID
    assert (ids[0, length:] == PAD_ID).all()
    assert ids[1, 0] == EOS_ID
    assert mask.sum(axis=1).tolist() == [length, 1]
    assert tokenizer.published.decode(ids[0], skip_special_tokens=True) == CAPTIONS[0]


def test_special_tokens_have_the_numbers_of_umt5(tokenizer: Tokenizer) -> None:
    assert tokenizer.published.convert_tokens_to_ids(["<pad>", "</s>", "<unk>"]) == [PAD_ID, EOS_ID, UNK_ID]
    assert UNK_ID in tokenizer(["Ω"]).ids


def test_a_prompt_that_is_too_long_is_cut_and_shown(repository: Path, caplog: pytest.LogCaptureFixture) -> None:
    short = Tokenizer.load(repository / "tokenizer", length=8)
    with caplog.at_level(logging.WARNING):
        ids, mask = short([CAPTIONS[0], "a van"])
    assert mask[0].all()
    assert ids[0, -1] == EOS_ID
    (record,) = caplog.records
    assert CAPTIONS[0] in record.message
    assert "out of its burrow" in record.message


def test_a_prompt_that_just_fits_is_not_warned_of(
    repository: Path, tokenizer: Tokenizer, caplog: pytest.LogCaptureFixture
) -> None:
    length = int(tokenizer([CAPTIONS[0]]).mask.sum())
    Tokenizer.load(repository / "tokenizer", length=length)([CAPTIONS[0]])
    assert not caplog.records


@pytest.mark.parametrize(
    ("prompt", "cleaned"),
    [
        ("  a\tred \n bow  tie ", "a red bow tie"),
        ("salt &amp; pepper", "salt & pepper"),
        ("salt &amp;amp; pepper", "salt & pepper"),
        ("a\u00a0van\u3000seen", "a van seen"),
        ("", ""),
    ],
)
def test_prompts_are_cleaned(prompt: str, cleaned: str) -> None:
    assert clean(prompt) == cleaned


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=str(tmp_path)):
        Tokenizer.load(tmp_path / "tokenizer", length=64)


def test_a_tokenizer_with_other_special_tokens_is_refused(repository: Path, tmp_path: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_text((repository / "tokenizer" / name).read_text())
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({**config, "pad_token": "<unk>"}))
    with pytest.raises(WeightsError, match="padding is token 2"):
        Tokenizer.load(tmp_path, length=64)


def test_the_same_captions_and_seed_give_the_same_files(repository: Path, tmp_path: Path) -> None:
    write_text_encoder(tmp_path, CAPTIONS, seed=0)
    files = [path.relative_to(repository) for path in repository.rglob("*") if path.is_file()]
    assert len(files) == 4
    for file in files:
        assert (tmp_path / file).read_bytes() == (repository / file).read_bytes(), file


def test_a_tokenizer_may_say_that_fewer_tokens_count(tmp_path: Path) -> None:
    write_text_encoder(tmp_path, CAPTIONS, seed=0, max_tokens=16)
    assert Tokenizer.load(tmp_path / "tokenizer", length=512)(CAPTIONS).mask.shape == (len(CAPTIONS), 16)


def test_a_repository_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer").write_text("in the way")
    with pytest.raises(OutputError, match="tokenizer"):
        write_text_encoder(tmp_path, CAPTIONS, seed=0)

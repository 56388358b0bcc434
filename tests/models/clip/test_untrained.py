import json
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

from mdctl.models.clip import CLIPTextConfig, Tokenizer, load, write_text_encoder

CAPTIONS = ["red circle", "blue circle", "a red square"]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    write_text_encoder(tmp_path, CAPTIONS, CLIPTextConfig.tiny(), seed=0)
    return tmp_path


def test_a_word_is_a_token_and_prompts_begin_and_end(repository: Path) -> None:
    tokens = Tokenizer.load(repository / "tokenizer", length=6)
    unknown, begin, end = 0, 6, 7
    assert tokens(["red circle", "A Red  square", "green circle", ""]).tolist() == [
        [begin, 4, 3, end, end, end],
        [begin, 1, 4, 5, end, end],
        [begin, unknown, 3, end, end, end],
        [begin, end, end, end, end, end],
    ]


def test_encoder_and_tokenizer_agree(repository: Path) -> None:
    cfg = load(repository / "text_encoder").cfg
    assert (cfg.vocab_size, cfg.eos_token_id) == (8, 7)
    assert Tokenizer.load(repository / "tokenizer").length == cfg.max_position_embeddings
    settings = json.loads((repository / "tokenizer" / "tokenizer_config.json").read_text())
    assert settings["model_max_length"] == cfg.max_position_embeddings


def test_the_same_seed_gives_the_same_files(repository: Path, tmp_path: Path) -> None:
    write_text_encoder(tmp_path / "again", CAPTIONS, CLIPTextConfig.tiny(), seed=0)
    write_text_encoder(tmp_path / "other", CAPTIONS, CLIPTextConfig.tiny(), seed=1)
    for name in ("text_encoder/model.safetensors", "text_encoder/config.json", "tokenizer/tokenizer.json"):
        assert (tmp_path / "again" / name).read_bytes() == (repository / name).read_bytes()
    first, other = (jax.tree.leaves(_params(folder)) for folder in (repository, tmp_path / "other"))
    assert any(not np.array_equal(one, two) for one, two in zip(first, other, strict=True))


def _params(repository: Path) -> object:
    return nnx.state(load(repository / "text_encoder"))

import json
from pathlib import Path

import numpy as np
import pytest

from mdctl.models.text import LENGTH, TextEncoder, load_text_encoder
from mdctl.models.umt5 import Tokenizer, load, write_text_encoder
from mdctl.spec.errors import WeightsError

CAPTIONS = ("a grey rabbit climbs out of its burrow", "the white roof of a van seen from above", "")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    write_text_encoder(folder, CAPTIONS, seed=0)
    return folder


@pytest.fixture(scope="module")
def encoder(repository: Path) -> TextEncoder:
    return load_text_encoder(repository)


@pytest.fixture(scope="module")
def embeddings(encoder: TextEncoder) -> np.ndarray:
    return np.asarray(encoder.encode(CAPTIONS))


def test_embeddings_are_zero_past_the_end_of_each_prompt(repository: Path, embeddings: np.ndarray) -> None:
    mask = Tokenizer.load(repository / "tokenizer", length=LENGTH)(CAPTIONS).mask
    assert embeddings.dtype == np.float32
    assert np.array_equal((embeddings != 0).any(axis=-1), mask)


def test_embeddings_have_the_promised_shape(encoder: TextEncoder, embeddings: np.ndarray) -> None:
    assert embeddings.shape == (len(CAPTIONS), encoder.length, encoder.width)
    assert encoder.length == LENGTH


def test_a_prompt_is_embedded_alike_in_any_company(encoder: TextEncoder, embeddings: np.ndarray) -> None:
    alone = np.asarray(encoder.encode([f"  {CAPTIONS[1]} "]))
    np.testing.assert_allclose(alone[0], embeddings[1], atol=1e-5)


def test_activations_and_weights_take_the_dtype_and_embeddings_stay_float32(
    repository: Path, embeddings: np.ndarray
) -> None:
    assert load(repository / "text_encoder", np.dtype("bfloat16")).shared.embedding.dtype == np.dtype("bfloat16")
    halved = np.asarray(load_text_encoder(repository, dtype=np.dtype("bfloat16")).encode(CAPTIONS))
    assert halved.dtype == np.float32
    np.testing.assert_allclose(halved, embeddings, atol=0.25)


def test_an_unknown_encoder_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "text_encoder").mkdir()
    (tmp_path / "text_encoder" / "config.json").write_text(json.dumps({"architectures": ["CLIPTextModel"]}))
    with pytest.raises(WeightsError, match="CLIPTextModel"):
        load_text_encoder(tmp_path)

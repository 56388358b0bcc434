import json
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from PIL import Image

from mdctl.data.cache import Cache
from mdctl.data.index import index_folder
from mdctl.data.video import Decoding, decode, to_model
from mdctl.demo.__main__ import main
from mdctl.demo.picture.emoji import HELD_OUT, HELD_OUT_CAPTIONS, TRAINED
from mdctl.demo.picture.prepare import SHAPE, TEXT, UNET
from mdctl.diffusion.prediction import V
from mdctl.models import clip
from mdctl.models.codec import load_codec
from mdctl.models.scheduler import own_sampler, read_variance_preserving
from mdctl.models.unet.config import UNetConfig
from mdctl.models.unet.modeling import UNet
from mdctl.parallel.execution import Execution


def test_pictures_are_a_data_set(picture: Path, tmp_path: Path) -> None:
    for folder, emoji, prompts in (("pictures", TRAINED, "prompts.txt"), ("held_out", HELD_OUT, "held_out.txt")):
        index = index_folder(str(picture / folder), Decoding(SHAPE), Cache(str(tmp_path / folder)))
        assert not index.dropped
        found = {clip.name: clip.caption for clip in index.clips}
        assert found == {f"{each.name}.png": each.caption for each in emoji}
        assert (picture / prompts).read_text().splitlines() == [each.caption for each in emoji]


def test_what_is_held_out_is_not_trained_on(picture: Path) -> None:
    prompts = (picture / "prompts.txt").read_text().splitlines()
    assert not {*prompts} & {*HELD_OUT_CAPTIONS}
    names = {path.name for path in (picture / "held_out").iterdir()}
    assert len(names) == 6
    assert not names & {path.name for path in (picture / "pictures").iterdir()}


def test_pictures_are_on_white(picture: Path) -> None:
    with Image.open(picture / "pictures" / "abacus.png") as image:
        assert (image.mode, image.size) == ("RGB", (64, 64))
        pixels = np.asarray(image)
    assert (pixels[:8] == 255).all()
    assert (pixels[8:56, 8:56] != 255).any()


def pixels(folder: Path) -> np.ndarray:
    files = sorted(folder.glob("*.png"))
    return np.stack([to_model(decode(file.name, file.read_bytes(), Decoding(SHAPE))) for file in files])


def test_the_codec_knows_the_pictures(picture: Path) -> None:
    codec = load_codec(picture / "model")
    trained = pixels(picture / "pictures")
    latents = codec.encode(jnp.asarray(trained))
    assert latents.shape == (192, 1, 16, 16, 12)
    loudness = np.std(latents, axis=(0, 1, 2, 3))  # these pictures are plain: some channels say nothing
    assert np.all((abs(loudness - 1) < 0.01) | (loudness < 0.01))
    assert loudness[0] == pytest.approx(1, abs=0.01)
    assert float(jnp.abs(codec.decode(latents) - trained).max()) < 1e-3


def test_the_text_encoder_reads_a_token_for_each_word(picture: Path) -> None:
    encoder = clip.load(picture / "model" / "text_encoder")
    tokens = clip.Tokenizer.load(picture / "model" / "tokenizer")
    assert tokens.length == encoder.cfg.max_position_embeddings == TEXT.max_position_embeddings
    captions = [emoji.caption for emoji in (*TRAINED, *HELD_OUT)]
    rows = tokens(captions)
    unknown, end = tokens.published.unk_token_id, encoder.cfg.eos_token_id
    assert unknown not in rows
    assert [int((row == end).argmax()) for row in rows] == [1 + len(caption.split()) for caption in captions]
    said = np.asarray(encoder(jnp.asarray(tokens(["red circle", "red heart", "orange heart", ""]))).pooled)
    assert min(np.abs(said[i] - said[j]).max() for i in range(4) for j in range(i)) > 0.1


def test_the_model_folder_says_which_network_to_train_and_how(picture: Path) -> None:
    model = picture / "model"
    assert UNetConfig.from_published(json.loads((model / "unet" / "config.json").read_text())) == UNET
    scheduler = read_variance_preserving(model)
    assert scheduler.process.betas.zero_terminal_snr
    assert scheduler.process.target_is == V
    assert (own_sampler(model), scheduler.stepping.spacing) == ("ddim", "trailing")
    for part, published in json.loads((model / "model_index.json").read_text()).items():
        assert part == "_class_name" or published == [None, None] or (model / part).is_dir()


def test_the_network_takes_the_latents_and_the_text() -> None:
    def run() -> jax.Array:
        unet = UNet(UNET, execution=Execution.plain(), rngs=nnx.Rngs(0))
        text = jnp.zeros((2, TEXT.max_position_embeddings, TEXT.hidden_size))
        return unet(jnp.zeros((2, 16, 16, 12)), jnp.zeros(2), text, None)

    assert jax.eval_shape(run).shape == (2, 16, 16, 12)


def test_preparing_again_gives_the_same_files(picture: Path, fill: Callable[[Path], None]) -> None:
    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in picture.rglob("*") if path.is_file()}

    before = contents()
    (picture / "pictures" / "abacus.txt").write_text("damaged")
    (picture / "model" / "vae" / "config.json").write_text("damaged")
    fill(picture)
    assert contents() == before


def test_mistakes_end_with_their_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["demo", "picture", "prepare", str(tmp_path / "picture")])
    assert main() == 2
    said = capsys.readouterr().err
    assert said.startswith("error: npm")
    assert said.count("\n") == 1

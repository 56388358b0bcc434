"""The demo in small: two shots of a made-up film, through everything but training."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from mdctl.data.cache import Cache
from mdctl.data.index import index_folder
from mdctl.data.video import Decoding, decode, encode_mp4, to_model
from mdctl.demo import prepare, report
from mdctl.demo.__main__ import main
from mdctl.demo.shots import FPS, SHAPE, Shot
from mdctl.models.codec import load_codec
from mdctl.models.text import load_text_encoder
from mdctl.models.wan.config import WanConfig
from mdctl.models.wan.family import FAMILY
from mdctl.spec.catalogue import find_model
from mdctl.spec.errors import DataError
from mdctl.spec.job import JobSpec
from mdctl.spec.reading import parse_job
from mdctl.spec.sampling import Sampling

SHOTS = (
    Shot("left", "waves on the left", "film.mp4", first=0, every=1, left=0, top=0, side=96),
    Shot("right", "waves on the right", "film.mp4", first=3, every=1, left=96, top=0, side=96),
)


def fill(folder: Path) -> None:
    """Prepare a folder from a film of waves."""
    times, rows, columns = np.mgrid[:24, :96, :192]
    grey = 128 + 60 * np.sin(columns / 15 + times / 4) + 60 * np.cos(rows / 9)
    film = encode_mp4(np.repeat(grey.astype(np.uint8)[..., None], 3, axis=-1), 25)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare, "read_films", lambda folder: {"film.mp4": film})
        patch.setattr(prepare, "SHOTS", SHOTS)
        prepare.prepare(folder)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder."""
    folder = tmp_path_factory.mktemp("demo")
    fill(folder)
    return folder


def test_clips_are_a_data_set(demo: Path, tmp_path: Path) -> None:
    index = index_folder(str(demo / "clips"), Decoding(SHAPE, FPS), Cache(str(tmp_path)))
    assert [(clip.name, clip.caption) for clip in index.clips] == [(f"{shot.name}.mp4", shot.caption) for shot in SHOTS]
    assert not index.dropped
    assert (demo / "prompts.txt").read_text().splitlines() == [shot.caption for shot in SHOTS]


def clips(demo: Path) -> np.ndarray:
    files = [demo / "clips" / f"{shot.name}.mp4" for shot in SHOTS]
    return np.stack([to_model(decode(file.name, file.read_bytes(), Decoding(SHAPE, FPS))) for file in files])


def test_the_codec_knows_the_clips(demo: Path) -> None:
    codec = load_codec(demo / "model")
    latents = codec.encode(jnp.asarray(clips(demo)))
    assert latents.shape == (2, 5, 8, 8, 16)
    assert float(jnp.std(latents)) == pytest.approx(1, abs=0.05)
    assert float(jnp.sqrt(jnp.mean(jnp.square(codec.decode(latents) - clips(demo))))) < 0.1


def test_the_text_encoder_tells_captions_apart(demo: Path) -> None:
    encoder = load_text_encoder(demo / "model")
    left, right, nothing = np.asarray(encoder.encode([*(shot.caption for shot in SHOTS), ""]))
    assert left.shape == (prepare.MAX_TOKENS, WanConfig.tiny().text_dim)
    assert min(np.abs(left - right).max(), np.abs(left - nothing).max()) > 0.1


def test_the_model_folder_says_which_network_to_train(demo: Path) -> None:
    assert FAMILY.configure(find_model("wan2.1-t2v-tiny"), demo / "model") == WanConfig.tiny()
    _, settings = FAMILY.sampler(find_model("wan2.1-t2v-tiny"), Sampling(), demo / "model")
    assert settings == {"sampler": "unipc", "shift": prepare.SHIFT}
    for part in json.loads((demo / "model" / "model_index.json").read_text()):
        assert part == "_class_name" or (demo / "model" / part).is_dir()


def test_preparing_again_gives_the_same_files(demo: Path) -> None:
    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in demo.rglob("*") if path.is_file()}

    before = contents()
    (demo / "model" / "vae" / "config.json").write_text("damaged")
    fill(demo)
    assert contents() == before


@pytest.fixture
def spec(demo: Path) -> JobSpec:
    """A job that generates, over all devices of the tests."""
    job = {
        "metadata": {"name": "generate"},
        "spec": {
            "task": "generate",
            "slice": "cpu-1x8",
            "model": {"name": "wan2.1-t2v-tiny", "weights": str(demo / "model"), "activationsDtype": "float32"},
            "attention": {"kernel": "dot_product"},
            "video": {"height": 64, "width": 64, "frames": 17, "fps": FPS},
            "batch": {"globalSize": 8},
            "sampling": {"promptsFile": str(demo / "prompts.txt"), "steps": 2},
        },
    }
    return parse_job(job, "test").spec


def run_with_samples(demo: Path, run: Path, prompts: list[str]) -> Path:
    """Write the clips themselves as samples of these prompts."""
    (run / "samples").mkdir(parents=True)
    for number, (shot, prompt) in enumerate(zip(SHOTS, prompts, strict=False)):
        file = f"{number:04d}.mp4"
        (run / "samples" / file).write_bytes((demo / "clips" / f"{shot.name}.mp4").read_bytes())
        (run / "samples" / f"{number:04d}.json").write_text(json.dumps({"prompt": prompt, "file": file}))
    return run


def test_samples_are_reported_beside_an_untrained_model(
    demo: Path, tmp_path: Path, spec: JobSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    captions = [shot.caption for shot in SHOTS]
    own = run_with_samples(demo, tmp_path / "own", captions)
    assert report.report(spec, demo / "clips", own, tmp_path / "sheet.png")
    said = capsys.readouterr().out
    assert "2 of 2 samples are nearest to their own clip" in said
    assert "0.000  samples\n" in said
    assert (own / "untrained" / "samples").is_dir()
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size[0] > 6 * 128
    swapped = run_with_samples(demo, tmp_path / "swapped", captions[::-1])
    (own / "untrained").rename(swapped / "untrained")
    assert not report.report(spec, demo / "clips", swapped, tmp_path / "sheet.png")
    said = capsys.readouterr().out
    assert "0 of 2 samples are nearest to their own clip (at least 2 wanted)" in said
    assert "not its own: right.mp4" in said


def test_a_caption_without_a_sample_is_named(demo: Path, tmp_path: Path, spec: JobSpec) -> None:
    run = run_with_samples(demo, tmp_path, [SHOTS[0].caption])
    with pytest.raises(DataError, match="has no sample of 'waves on the right'"):
        report.report(spec, demo / "clips", run, tmp_path / "sheet.png")


def test_mistakes_end_with_their_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["demo", "report", "--run", str(tmp_path / "absent")])
    assert main() == 2
    assert "absent/job.yaml" in capsys.readouterr().err

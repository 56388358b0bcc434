"""Pictures of several proportions in a folder, and the tiny VAE of Stable Diffusion as their encoder."""

import json
from collections.abc import Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import nnx
from safetensors.numpy import save_file

from mdctl.data.cache import Cache
from mdctl.data.folder import LATENTS, MEAN, STD, Encoders, FolderSource
from mdctl.data.framing import Framed, Framing
from mdctl.data.index import clip_sizes, index_folder
from mdctl.data.treatment import Treatment
from mdctl.data.video import Decoding, encode_png
from mdctl.models import weights
from mdctl.models.autoencoder_kl import AutoencoderKL, AutoencoderKLConfig
from mdctl.models.autoencoder_kl.weights import TABLE
from mdctl.models.codec import Codec
from mdctl.parallel.execution import Execution
from mdctl.spec.buckets import Buckets, Size
from mdctl.spec.shapes import PixelShape
from tests.parity.redraw import redraw

CONFIG = AutoencoderKLConfig.tiny()
DECODING = Decoding(PixelShape(1, 32, 32), 1)
SQUARE, LYING, UPRIGHT = Size(32, 32), Size(16, 48), Size(48, 16)
SIZES = Buckets(step=16, max_ratio=3).sizes(SQUARE)
SHAPES = (*[(40, 40)] * 3, *[(20, 50)] * 3, *[(60, 20)] * 2)
"""Height and width of each picture."""


def write_pictures(folder: Path, shapes: Sequence[tuple[int, int]] = SHAPES) -> Path:
    """Write pictures of noise, each with a caption."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, shape in enumerate(shapes):
        noise = np.random.default_rng(number).integers(0, 256, (*shape, 3), np.uint8)
        (folder / f"{number}.png").write_bytes(encode_png(noise))
        (folder / f"{number}.txt").write_text(f"picture {number}")
    return folder


def write_vae(repository: Path, cfg: AutoencoderKLConfig = CONFIG) -> None:
    """Write a VAE whose parameters are drawn anew."""
    model = nnx.eval_shape(lambda: AutoencoderKL(cfg, execution=Execution.plain(), rngs=nnx.Rngs(0)))
    parameters = weights.bind(TABLE, nnx.state(model))
    shapes = {tensor.names[0]: tensor.shape for parameter in parameters for tensor in parameter.tensors}
    (repository / "vae").mkdir(parents=True, exist_ok=True)
    save_file(redraw(shapes, seed=0), repository / "vae" / "diffusion_pytorch_model.safetensors")
    (repository / "vae" / "config.json").write_text(json.dumps(cfg.to_published()))


class Encoding:
    """Encoders that count: the VAE, and the length of a caption."""

    def __init__(self, codec: Codec, *, draws: bool = True) -> None:
        self.codec, self.draws = codec, draws
        self.seen: list[np.ndarray] = []

    def pixels(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        self.seen.append(pixels)
        if not self.draws:
            return {LATENTS: np.asarray(self.codec.encode(jnp.asarray(pixels)))}
        mean, std = self.codec.moments(jnp.asarray(pixels))
        return {MEAN: np.asarray(mean), STD: np.asarray(std)}

    def value(self) -> Encoders:
        def text(captions: Sequence[str]) -> dict[str, np.ndarray]:
            return {"text": np.array([[[len(caption)]] for caption in captions], np.float32)}

        return Encoders(
            pixels=self.pixels, text=text, pixels_fingerprint=f"vae {self.draws}", text_fingerprint="lengths"
        )


def told(framing: Framing) -> dict[str, np.ndarray]:
    """Return a framing as SDXL is told of it."""
    return {"sizes": np.array([*framing.original, *framing.crop, *framing.target], np.float32)}


def open_pictures(
    folder: Path, encoding: Encoding, treatment: Treatment | None = None, framing: Framed | None = None
) -> FolderSource:
    """Return the pictures of `folder`/pictures; the cache is beside them."""
    kept = Cache(str(folder / "cache"))
    index = index_folder(str(folder / "pictures"), DECODING, kept)
    return FolderSource(
        index=index,
        decoding=DECODING,
        encoders=encoding.value(),
        cache=kept,
        treatment=treatment or Treatment(),
        framing=framing,
        sizes=clip_sizes(index, kept),
    )

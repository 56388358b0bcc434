"""Our side of benchmarks/stable_diffusion.py: one step of mdctl's Stable Diffusion at each line read from stdin.

    python benchmarks/stable_diffusion_mdctl.py FOLDER CASE

loads the model that the peer wrote to FOLDER, says "ready", and then answers the case's name with seconds.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
from turns import answer

from mdctl.diffusion.guidance import Guidance, guided
from mdctl.diffusion.variance_preserving import VariancePreserving
from mdctl.models import autoencoder_kl
from mdctl.models.codec import as_codec
from mdctl.models.family import decay_kernels
from mdctl.models.stable_diffusion.family import conditioning, make_denoiser
from mdctl.models.unet.config import UNetConfig
from mdctl.models.weights import load, read_config
from mdctl.parallel.execution import Execution
from mdctl.spec.training import Objective, Optimizer, Schedule
from mdctl.training.learning_rate import make_learning_rate
from mdctl.training.objective import make_loss
from mdctl.training.optimizer import AdamW
from mdctl.training.state import init_state
from mdctl.training.step import make_train_step

SIDES = {"sd15": 64, "sdxl": 64, "train": 32, "vae": 64}
"""Of the latents."""
BATCH = 2


def main(folder: Path, case: str) -> None:
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    make = {"vae": decoding, "train": training}.get(case, denoising)
    answer({case: make(folder, SIDES[case])})


def waiting(run: Callable[[], jax.Array]) -> Callable[[], None]:
    """Return what computes an array, and waits for it."""

    def step() -> None:
        jax.block_until_ready(run())

    return step


def decoding(folder: Path, side: int) -> Callable[[], None]:
    codec = as_codec(autoencoder_kl.load(folder, jnp.float32))
    latents = jax.random.normal(jax.random.key(0), (1, 1, side, side, 4))
    return waiting(lambda: codec.decode(latents))


def denoising(folder: Path, side: int) -> Callable[[], None]:
    """Return one evaluation with guidance: a sample, and twice the batch."""
    cfg = UNetConfig.from_published(read_config(folder))
    denoiser = make_denoiser(cfg, Execution.plain())
    params = load(denoiser.table, folder, denoiser.abstract)
    given = {name: jnp.ones(struct.shape) for name, struct in conditioning(cfg, BATCH // 2).items()}
    null = {name: array[0] for name, array in given.items()}
    latents = jax.random.normal(jax.random.key(0), (BATCH // 2, 1, side, side, 4))
    run = jax.jit(guided(denoiser.denoise, null, Guidance(7.5)))
    return waiting(lambda: run(params, latents, jnp.full(BATCH // 2, 500.0), given))


def training(folder: Path, side: int) -> Callable[[], None]:
    cfg = UNetConfig.from_published(read_config(folder))
    denoiser = make_denoiser(cfg, Execution.plain())
    optimizer = AdamW(Optimizer(), make_learning_rate(Schedule(), 1e-5, 1000), decay_kernels)
    objective = Objective(caption_dropout=0.0)
    loss = make_loss(denoiser.denoise, VariancePreserving(), objective, seed=0, shift=1.0, global_batch=BATCH)
    step = jax.jit(make_train_step(loss, optimizer), donate_argnums=0)
    state = init_state(load(denoiser.table, folder, denoiser.abstract), optimizer, ema=False)
    text = {name: jnp.ones(struct.shape) for name, struct in conditioning(cfg, BATCH).items()}
    batch = {
        "latents": jax.random.normal(jax.random.key(0), (BATCH, 1, side, side, 4)),
        "conditioning": text,
        "rows": jnp.arange(BATCH, dtype=jnp.uint32),
    }
    null = {name: array[0] for name, array in text.items()}

    def train() -> None:
        nonlocal state
        state, metrics = step(state, batch, null)
        jax.block_until_ready((state, metrics))

    return train


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

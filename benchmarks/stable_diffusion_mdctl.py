"""Our side of benchmarks/stable_diffusion.py: one step of mdctl's Stable Diffusion at each line read from stdin.

    python benchmarks/stable_diffusion_mdctl.py FOLDER CASE [cpu|gpu]

loads the model that the peer wrote to FOLDER, says "ready", and then answers the case's name with seconds. All is
float32 on a CPU; on a GPU activations are bfloat16, and so are the weights of what is not trained.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
from stable_diffusion_sizes import BATCH, SIDES
from turns import answer

from mdctl.diffusion.guidance import Guidance, guided
from mdctl.diffusion.variance_preserving import VariancePreserving
from mdctl.models import autoencoder_kl
from mdctl.models.codec import as_codec
from mdctl.models.family import decay_kernels
from mdctl.models.stable_diffusion.family import conditioning, make_denoiser
from mdctl.models.unet.config import UNetConfig
from mdctl.models.weights import load, read_config
from mdctl.parallel.choice import make_execution
from mdctl.parallel.execution import Execution
from mdctl.parallel.mesh import make_mesh
from mdctl.spec.job import JobSpec
from mdctl.spec.model import AttentionSpec, Dtype
from mdctl.spec.training import Objective, Optimizer, Schedule
from mdctl.training.learning_rate import make_learning_rate
from mdctl.training.objective import make_loss
from mdctl.training.optimizer import AdamW
from mdctl.training.state import init_state
from mdctl.training.step import make_train_step


def main(folder: Path, case: str, where: str = "cpu") -> None:
    answer({case: prepared(folder, case, where)})


def prepared(folder: Path, case: str, where: str) -> Callable[[], None]:
    """Return the step of a case, its model loaded."""
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    side, batch = SIDES[where][case], BATCH[where]
    if case == "vae":
        return decoding(folder, side)
    if case == "train":
        return training(folder, side, batch, execution(where, "float32"))
    return denoising(folder, side, batch, execution(where, "bfloat16"))


def execution(where: str, weights: Dtype) -> Execution:
    """Return float32 on the CPU, or what a recipe has on a GPU, with weights of that type."""
    if where == "cpu":
        return Execution.plain()
    asked = {"task": "train", "slice": "h100-1", "model": {"name": "sdxl"}, "video": {"frames": 1}}
    alone = JobSpec.model_validate(asked)
    attention = AttentionSpec(kernel="cudnn", flash_min_seq_length=1024)
    mesh = make_mesh(alone.layout, jax.devices()[:1])
    return make_execution(mesh, attention=attention, remat="none", dtype="bfloat16", param_dtype=weights)


def waiting(run: Callable[[], jax.Array]) -> Callable[[], None]:
    """Return what computes an array, and waits for it."""

    def step() -> None:
        jax.block_until_ready(run())

    return step


def decoding(folder: Path, side: int) -> Callable[[], None]:
    codec = as_codec(autoencoder_kl.load(folder, jnp.float32))
    latents = jax.random.normal(jax.random.key(0), (1, 1, side, side, 4))
    return waiting(lambda: codec.decode(latents))


def denoising(folder: Path, side: int, batch: int, execution: Execution) -> Callable[[], None]:
    """Return one evaluation with guidance: samples, and twice the batch."""
    cfg = UNetConfig.from_published(read_config(folder))
    denoiser = make_denoiser(cfg, execution)
    params = load(denoiser.table, folder, denoiser.abstract)
    given = {name: jnp.ones(struct.shape) for name, struct in conditioning(cfg, batch // 2).items()}
    null = {name: array[0] for name, array in given.items()}
    latents = jax.random.normal(jax.random.key(0), (batch // 2, 1, side, side, 4))
    run = jax.jit(guided(denoiser.denoise, null, Guidance(7.5)))
    return waiting(lambda: run(params, latents, jnp.full(batch // 2, 500.0), given))


def training(folder: Path, side: int, rows: int, execution: Execution) -> Callable[[], None]:
    cfg = UNetConfig.from_published(read_config(folder))
    denoiser = make_denoiser(cfg, execution)
    optimizer = AdamW(Optimizer(), make_learning_rate(Schedule(), 1e-5, 1000), decay_kernels)
    objective = Objective(caption_dropout=0.0)
    loss = make_loss(denoiser.denoise, VariancePreserving(), objective, seed=0, shift=1.0, global_batch=rows)
    step = jax.jit(make_train_step(loss, optimizer), donate_argnums=0)
    state = init_state(load(denoiser.table, folder, denoiser.abstract), optimizer, ema=False)
    text = {name: jnp.ones(struct.shape) for name, struct in conditioning(cfg, rows).items()}
    batch = {
        "latents": jax.random.normal(jax.random.key(0), (rows, 1, side, side, 4)),
        "conditioning": text,
        "rows": jnp.arange(rows, dtype=jnp.uint32),
    }
    null = {name: array[0] for name, array in text.items()}

    def train() -> None:
        nonlocal state
        state, metrics = step(state, batch, null)
        jax.block_until_ready((state, metrics))

    return train


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])

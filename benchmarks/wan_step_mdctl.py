"""Our side of benchmarks/wan_step.py: one step of mdctl's Wan at each line read from stdin.

    python benchmarks/wan_step_mdctl.py FOLDER

loads the model that the peer wrote to FOLDER, says "ready", and then answers "denoise" or "train" with seconds.
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
from turns import answer

from mdctl.diffusion.flow_matching import FlowMatching
from mdctl.models.family import decay_kernels
from mdctl.models.wan.config import WanConfig
from mdctl.models.wan.family import make_denoiser
from mdctl.models.wan.weights import TABLE
from mdctl.models.weights import load, read_config
from mdctl.parallel.execution import Execution
from mdctl.spec.training import Objective, Optimizer, Schedule
from mdctl.training.learning_rate import make_learning_rate
from mdctl.training.objective import make_loss
from mdctl.training.optimizer import AdamW
from mdctl.training.state import init_state
from mdctl.training.step import make_train_step

LATENTS = (1, 3, 16, 16, 16)  # 9 frames of 128 x 128
TEXT = (1, 512, 512)


def main(folder: Path) -> None:
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    denoiser = make_denoiser(WanConfig.from_published(read_config(folder)), Execution.plain())
    params = load(TABLE, folder, denoiser.abstract)
    optimizer = AdamW(Optimizer(), make_learning_rate(Schedule(), 1e-5, 1000), decay_kernels)
    loss = make_loss(
        denoiser.denoise, FlowMatching(), Objective(caption_dropout=0.0), seed=0, shift=5.0, global_batch=8
    )
    step = jax.jit(make_train_step(loss, optimizer), donate_argnums=0)
    forward = jax.jit(denoiser.denoise)
    latents, text = jax.random.normal(jax.random.key(0), LATENTS), jax.random.normal(jax.random.key(1), TEXT)
    conditioning, nothing = {"text": text}, {"text": jnp.zeros(TEXT[1:])}
    batch = {"latents": latents, "conditioning": conditioning, "rows": jnp.zeros(1, jnp.uint32)}
    state = init_state(jax.tree.map(jnp.copy, params), optimizer, ema=False)

    def denoise() -> None:
        forward(params, latents, jnp.full(1, 500.0), conditioning).block_until_ready()

    def train() -> None:
        nonlocal state
        state, metrics = step(state, batch, nothing)
        jax.block_until_ready((state, metrics))

    answer({"denoise": denoise, "train": train})


if __name__ == "__main__":
    main(Path(sys.argv[1]))

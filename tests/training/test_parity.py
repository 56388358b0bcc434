"""Twenty steps of torch's AdamW with clip, decay mask, warm-up, cosine and average: parity/reference/adamw.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float32, Int32

from mdctl.diffusion.denoise import Conditioning, Params
from mdctl.spec.training import Optimizer, Schedule
from mdctl.training.learning_rate import make_learning_rate
from mdctl.training.objective import GlobalBatch
from mdctl.training.optimizer import AdamW
from mdctl.training.state import TrainState, init_state
from mdctl.training.step import make_train_step
from tests.parity.arrays import distance, reference
from tests.parity.tolerances import OPTIMIZER

ARRAYS = reference("adamw")
NAMES = ("kernel_in", "bias_in", "kernel_out", "bias_out")
STEPS = len(ARRAYS["norms"])
CLIP_NORM = 1.45


def loss(
    params: Params, step: Int32[Array, ""], batch: GlobalBatch, null_conditioning: Conditioning, frozen: Params = None
) -> Float32[Array, ""]:
    x, y = jnp.asarray(ARRAYS["x"])[step], jnp.asarray(ARRAYS["y"])[step]
    hidden = jnp.tanh(jnp.matmul(x, params["kernel_in"], precision="highest") + params["bias_in"][None])
    prediction = jnp.matmul(hidden, params["kernel_out"], precision="highest") + params["bias_out"][None]
    return jnp.mean(jnp.square(prediction - y))


@pytest.fixture(scope="module")
def trained() -> tuple[TrainState, list[float]]:
    spec = Optimizer(learning_rate=3e-2, b1=0.9, b2=0.95, eps=1e-8, weight_decay=0.1, clip_norm=CLIP_NORM)
    schedule = Schedule(name="cosine", warmup_steps=4, final_fraction=0.1)
    optimizer = AdamW(
        spec,
        make_learning_rate(schedule, spec.learning_rate, STEPS),
        lambda params: {name: name.startswith("kernel") for name in params},
    )
    state = init_state({name: jnp.asarray(ARRAYS[name]) for name in NAMES}, optimizer, ema=True)
    train_step = jax.jit(make_train_step(loss, optimizer, ema_decay=0.5))
    nothing: GlobalBatch = {
        "latents": jnp.zeros((1, 1, 1, 1, 1), jnp.float32),
        "conditioning": {},
        "rows": jnp.zeros(1, jnp.uint32),
    }
    norms = []
    for _ in range(STEPS):
        state, metrics = train_step(state, nothing, {})
        norms.append(float(metrics["grad_norm"]))
    return state, norms


@pytest.mark.parametrize("name", NAMES)
def test_parameters_moments_and_average_are_the_references(trained: tuple[TrainState, list[float]], name: str) -> None:
    state, _ = trained
    adam = state.opt_state[1]
    assert state.ema is not None
    for kind, ours in (("params", state.params), ("ema", state.ema), ("mu", adam.mu), ("nu", adam.nu)):
        assert distance(ours[name], ARRAYS[f"{kind}/{name}"]) < OPTIMIZER, kind


def test_norms_are_the_references_and_fall_on_both_sides_of_the_clip(trained: tuple[TrainState, list[float]]) -> None:
    _, norms = trained
    assert distance(np.array(norms), ARRAYS["norms"]) < OPTIMIZER
    assert 0 < np.sum(ARRAYS["norms"] > CLIP_NORM) < STEPS

"""One training step as a pure function; who compiles it says how it is laid out and what is donated.

    state, metrics = train_step(state, batch, null_conditioning, frozen)

Gradients of a large batch are accumulated over A pieces of B / A rows. Piece a takes rows a, a + A, a + 2A, ...: a
batch whose rows are sharded in order is so cut on every device, and no row moves.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Float32, Int32, Shaped

from mdctl.diffusion.denoise import Conditioning, Params
from mdctl.training.ema import update_ema
from mdctl.training.objective import GlobalBatch, Loss
from mdctl.training.optimizer import AdamW
from mdctl.training.state import TrainState

Metrics = dict[str, Shaped[Array, ""]]
"""`loss`, `grad_norm` (before clipping), `learning_rate`, and `finite`: whether loss and gradient are numbers."""


@runtime_checkable
class TrainStep(Protocol):
    """One training step."""

    def __call__(
        self, state: TrainState, batch: GlobalBatch, null_conditioning: Conditioning, frozen: Params = None, /
    ) -> tuple[TrainState, Metrics]:
        """Return the state after the step; `frozen` are the parameters that are not trained, if there are any."""
        ...


LossAndGradients = Callable[
    [Params, Int32[Array, ""], GlobalBatch, Conditioning, Params], tuple[Float32[Array, ""], Params]
]


def make_train_step(
    loss: Loss, optimizer: AdamW, *, accumulation: int = 1, ema_decay: float | None = None
) -> TrainStep:
    """Return the step; `accumulation` divides the global batch, `ema_decay` is None where no average is kept."""
    loss_and_gradients = accumulated(loss, accumulation)

    def train_step(
        state: TrainState, batch: GlobalBatch, null_conditioning: Conditioning, frozen: Params = None
    ) -> tuple[TrainState, Metrics]:
        value, grads = loss_and_gradients(state.params, state.step, batch, null_conditioning, frozen)
        updated = optimizer.update(state.step, grads, state.opt_state, state.params)
        ema = None if ema_decay is None else update_ema(state.ema, updated.params, state.step, ema_decay)
        metrics = {
            "loss": value,
            "grad_norm": updated.grad_norm,
            "learning_rate": updated.learning_rate,
            "finite": jnp.isfinite(value) & jnp.isfinite(updated.grad_norm),
        }
        state = TrainState(step=state.step + 1, params=updated.params, opt_state=updated.state, ema=ema)
        return state, metrics

    return train_step


def accumulated(loss: Loss, num_pieces: int) -> LossAndGradients:
    """Return the loss of a batch and its gradient, computed piece by piece."""
    whole = jax.value_and_grad(loss)
    if num_pieces == 1:
        return whole

    def by_pieces(
        params: Params,
        step: Int32[Array, ""],
        batch: GlobalBatch,
        null_conditioning: Conditioning,
        frozen: Params = None,
    ) -> tuple[Float32[Array, ""], Params]:
        def add(total: Params, piece: GlobalBatch) -> tuple[Params, None]:
            return jax.tree.map(jnp.add, total, whole(params, step, piece, null_conditioning, frozen)), None

        pieces = jax.tree.map(lambda x: rearrange(x, "(b a) ... -> a b ...", a=num_pieces), batch)
        nothing = (jnp.zeros((), jnp.float32), jax.tree.map(jnp.zeros_like, params))
        total, _ = jax.lax.scan(add, nothing, pieces)
        mean: tuple[Float32[Array, ""], Params] = jax.tree.map(lambda x: x / num_pieces, total)
        return mean

    return by_pieces

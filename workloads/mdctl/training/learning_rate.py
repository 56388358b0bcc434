"""The learning rate at each step: warm-up, then a shape.

With n the steps taken, w those of the warm-up, N all, f the final fraction and p = (n - w) / (N - 1 - w):

    n < w       (n + 1) / (w + 1)                 (1)   the first step moves, step w is the first at the peak
    constant    1                                 (2)
    linear      1 - (1 - f) p                     (3)
    cosine      1 - (1 - f) (1 - cos pi p) / 2    (4)   both are f at the last step, N - 1, and after it
"""

from collections.abc import Callable, Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float32, Int32

from mdctl.spec.training import Schedule

LearningRate = Callable[[Int32[Array, ""]], Float32[Array, ""]]
"""Steps taken -> learning rate of the next one."""

DECAYED: Mapping[str, Callable[[Float32[Array, ""]], Float32[Array, ""]]] = {
    "constant": jnp.zeros_like,
    "linear": lambda progress: progress,
    "cosine": lambda progress: (1 - jnp.cos(jnp.pi * progress)) / 2,
}
"""Name -> how much of the way from 1 to f is gone at p."""


def make_learning_rate(schedule: Schedule, peak: float, num_steps: int) -> LearningRate:
    """Return `peak` times (1) to (4)."""
    warmup = schedule.warmup_steps
    decayed = DECAYED[schedule.name]

    def learning_rate(step: Int32[Array, ""]) -> Float32[Array, ""]:
        n = step.astype(jnp.float32)
        progress = jnp.clip((n - warmup) / max(num_steps - 1 - warmup, 1), 0, 1)
        after = 1 - (1 - schedule.final_fraction) * decayed(progress)
        return peak * jnp.where(n < warmup, (n + 1) / (warmup + 1), after)

    return learning_rate

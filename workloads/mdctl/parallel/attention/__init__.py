"""Attention kernels: values with one signature, chosen once by name at the edge.

Letters: B batch, L query tokens, S key tokens, N heads, K head width.
"""

from typing import Protocol, runtime_checkable

from jaxtyping import Array, Bool, Float

ATTENTION_RESIDUALS = "attention_residuals"
"""What a kernel calls the output and the log of the sum that its backward pass needs (`jax.checkpoint` names)."""


@runtime_checkable
class Attention(Protocol):
    """softmax(q kᵀ / √K) v per head, over the keys that `mask` leaves."""

    def __call__(
        self,
        q: Float[Array, "B L N K"],
        k: Float[Array, "B S N K"],
        v: Float[Array, "B S N K"],
        mask: Bool[Array, "B S"] | None = None,
    ) -> Float[Array, "B L N K"]:
        """Attend; `mask` is True where a key counts, None where all do. Returns q's dtype."""
        ...

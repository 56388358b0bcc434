"""The joint between networks and everything else here: one function, and what wraps it.

    prediction = denoise(params, x, time, conditioning)

`params` is whatever pytree the network reads; `time` is in the network's own unit (`Process.model_time`);
`conditioning` is any pytree of arrays with the batch as leading dim. Guidance, LoRA, masks and experts are wrappers:
they take a `Denoise` and give one.

Letters: B batch, T frames, H height, W width, C channels, all of latents.
"""

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Array, Float32

Params = Any
Conditioning = Any


@runtime_checkable
class Denoise(Protocol):
    """Predict from a noisy latent what its process asks for."""

    def __call__(
        self,
        params: Params,
        x_BTHWC: Float32[Array, "B T H W C"],
        time_B: Float32[Array, " B"],
        conditioning: Conditioning,
        /,
    ) -> Float32[Array, "B T H W C"]:
        """Return the prediction in float32, whatever dtype the network computes in."""
        ...

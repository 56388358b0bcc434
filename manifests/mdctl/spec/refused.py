"""What this version's worker cannot do, refused by name before anything starts.

The one list of such names: what is implemented leaves it.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING

from mdctl.spec.catalogue import Process

if TYPE_CHECKING:
    from mdctl.spec.job import JobSpec

ATTENTION = ("dot_product", "flash", "splash", "cudnn", "cudnn_flash_te")
ATTENTION_TO_COME = ("ring", "tokamax_flash", "tokamax_ring", "ulysses")
ATTENTION_ON: Mapping[str, str] = {"splash": "tpu", "cudnn": "gpu", "cudnn_flash_te": "gpu"}
"""Kernel -> the kind of hardware that it runs on; the others run on any."""

REMAT = (
    "none",
    "full",
    "attention",
    "hidden_state_with_offload",
    "matmul_without_batch",
    "offload_matmul_without_batch",
)
REMAT_TO_COME = ("custom",)

SAMPLERS: Mapping[Process, tuple[str, ...]] = {
    "flow": ("unipc", "euler", "dpm++2m"),
    "variance-preserving": (
        "ddim",
        "ddpm",
        "pndm",
        "euler",
        "euler-ancestral",
        "lms",
        "dpm++2m",
        "dpm++2m-karras",
        "unipc",
        "lcm",
    ),
}

MODEL_TYPES_TO_COME = ("I2V", "FLF2V", "TI2V")


def refused(spec: "JobSpec") -> Iterator[str]:
    """Yield each setting of the spec that this version does not implement, or that nothing is called."""
    yield from _name("attention.kernel", spec.attention.kernel, ATTENTION, ATTENTION_TO_COME)
    yield from _hardware(spec)
    yield from _name("remat", spec.remat, REMAT, REMAT_TO_COME)
    if spec.sampling.sampler is not None:
        yield from _name("sampling.sampler", spec.sampling.sampler, SAMPLERS[spec.catalogue_model.process], ())
    if spec.model.type is not None:
        own = "T2I" if spec.catalogue_model.makes_pictures else "T2V"
        yield from _name("model.type", spec.model.type, (own,), MODEL_TYPES_TO_COME)
    if spec.model.vae_tiling and not spec.catalogue_model.makes_pictures:
        yield f"model.vaeTiling is not implemented for videos, which {spec.model.name} makes; use false"
    if not spec.model.offload_encoders:
        yield "model.offloadEncoders false is not implemented: encoders always leave the accelerator; use true"
    if spec.task == "train" and spec.model.weights_dtype != "float32":
        yield f"model.weightsDtype {spec.model.weights_dtype!r} is not implemented for training; use 'float32'"


def _hardware(spec: "JobSpec") -> Iterator[str]:
    kernel, kind = spec.attention.kernel, spec.resolved_slice.kind
    wanted = ATTENTION_ON.get(kernel)
    if wanted not in (None, kind):
        yield f"attention.kernel {kernel!r} runs on {wanted} alone, and slice {spec.slice} is {kind}; use 'flash'"
    if wanted == "gpu" and spec.model.activations_dtype != "bfloat16":
        yield (
            f"attention.kernel {kernel!r} computes in bfloat16 alone, and model.activationsDtype is "
            f"{spec.model.activations_dtype!r}; use 'flash', or bfloat16"
        )


def _name(field: str, value: str, known: tuple[str, ...], to_come: tuple[str, ...]) -> Iterator[str]:
    if value in known:
        return
    if value in to_come:
        yield f"{field} {value!r} is not implemented in this version; use {' or '.join(map(repr, known))}"
        return
    near = get_close_matches(value, (*known, *to_come), n=1, cutoff=0.0)[0]
    yield f"{field} {value!r} is unknown; the nearest is {near!r} (there are: {', '.join(known)})"

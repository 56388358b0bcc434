"""Flags of libtpu (LIBTPU_INIT_ARGS), one line for each chip and task.

A flag that libtpu does not know, or refuses on a chip, ends the worker before its first step: so each line is short,
and is compiled for its chip with the libtpu of the lock (tests/spec/test_libtpu.py). They let collectives run beside
mathematics:

    all chips      gathers, permutations and all-to-alls are asynchronous
    v5e            they are fused with the matrix products that wait for them; libtpu refuses this on any other chip
    v4, v5p        gathers stay out of the fusions that span both cores of a chip
    training       reductions of gradients of several sizes are joined, and overlap the backward pass
"""

_ASYNCHRONOUS = (
    "--xla_enable_async_all_gather=true",
    "--xla_enable_async_collective_permute=true",
    "--xla_tpu_enable_async_all_to_all=true",
    "--xla_tpu_overlap_compute_collective_tc=true",
)
_FUSED = (
    "--xla_tpu_enable_async_collective_fusion=true",
    "--xla_tpu_enable_async_collective_fusion_fuse_all_gather=true",
    "--xla_tpu_enable_async_collective_fusion_multiple_steps=true",
)
_MEGACORE = ("--xla_tpu_megacore_fusion_allow_ags=false",)
_GRADIENTS = (
    "--xla_tpu_enable_data_parallel_all_reduce_opt=true",
    "--xla_tpu_data_parallel_opt_different_sized_ops=true",
)

_OF_CHIP: dict[str, tuple[str, ...]] = {"v4": _MEGACORE, "v5e": _FUSED, "v5p": _MEGACORE, "v6e": (), "tpu7x": ()}
_OF_TASK: dict[str, tuple[str, ...]] = {"train": _GRADIENTS, "generate": ()}


def libtpu_flags(generation: str, task: str) -> str:
    """Return the line for a TPU generation of `accelerators.TPUS` and a task of a DiffusionJob."""
    return " ".join((*_ASYNCHRONOUS, *_OF_CHIP[generation], *_OF_TASK[task]))

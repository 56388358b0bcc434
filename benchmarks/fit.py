"""Compile a step of a recipe for its slice, without the slice, and say whether it fits.

    python benchmarks/fit.py [RECIPE] [path.to.field=value ...]

The step is one of training, or of sampling: one evaluation of the network with guidance, for the recipe's batch.

libtpu compiles for a topology that is not there, with the flags that the job's pods set. Printed are the memory of one
device as the compiler allots it, and a band of step times (see `cost`), with what part of the chips' peak the model's
own arithmetic then is (MFU, see `arithmetic`). Ends with 1 if the step does not fit.
"""

import os
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from mdctl.spec.errors import UserError
from mdctl.spec.job import DiffusionJob, JobSpec
from mdctl.spec.libtpu import libtpu_flags
from mdctl.spec.overrides import apply_overrides
from mdctl.spec.reading import parse_job
from mdctl.spec.recipes import find_recipe
from mdctl.spec.shapes import LatentShape, PixelShape
from mdctl.spec.slices import describe

if TYPE_CHECKING:
    import jax

GIB = 2**30
BAND = ("LOW", "MID", "HIGH")


def main(arguments: Sequence[str]) -> int:
    recipe, *overrides = arguments or ["train-wan"]
    try:
        job = parse_job(apply_overrides(find_recipe(recipe).job(), overrides), recipe)
        prepare(job)
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"{recipe} on {describe(job.spec.resolved_slice, job.spec.num_slices)}")
    print(job.spec.layout.describe())
    print(" ".join(f"{package} {version(package)}" for package in ("jax", "jaxlib", "libtpu")))
    start = time.perf_counter()
    compiled = compile_step(job)
    if compiled is None:
        return 1
    print(f"compiled in {time.perf_counter() - start:.0f} s")
    fits = report_memory(job, compiled.memory_analysis())
    report_time(job, compiled.as_text() or "")
    return 0 if fits else 1


def prepare(job: DiffusionJob) -> None:
    """Let JAX run here and libtpu compile for there, as a pod of the job would have it; before JAX is imported."""
    generation = job.spec.resolved_slice.generation
    if job.spec.resolved_slice.kind != "tpu":
        raise UserError(f"slice {job.spec.slice} is no TPU: only programs for TPU can be compiled without one")
    os.environ |= {
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
        "JAX_PLATFORMS": "cpu",
        "LIBTPU_INIT_ARGS": libtpu_flags(generation, job.spec.task),
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_WORKER_HOSTNAMES": "localhost",
    }


def compile_step(job: DiffusionJob) -> "jax.stages.Compiled | None":
    """Compile the program that the worker runs, for devices that are only described; None if it does not fit."""
    import jax
    from jax.experimental import topologies

    from mdctl.parallel.mesh import make_mesh

    spec = job.spec
    chips = f"{spec.resolved_slice.generation}:{spec.resolved_slice.topology_label}"
    several = {"num_slices": spec.num_slices} if spec.num_slices > 1 else {}
    topology = topologies.get_topology_desc(chips, "tpu", **several)
    mesh = make_mesh(spec.layout, topology.devices)
    lower = lower_denoising if spec.task == "generate" else lower_training
    lowered = lower(spec, mesh, latent_shape(spec))
    try:
        return lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        print(f"DOES NOT FIT: {error}")
        return None


def latent_shape(spec: JobSpec) -> LatentShape:
    """Return what the network is given for one sample."""
    video = spec.video
    return spec.catalogue_model.latent_shape(PixelShape(video.frames, video.height, video.width))


def lower_training(spec: JobSpec, mesh: "jax.sharding.Mesh", shape: LatentShape) -> "jax.stages.Lowered":
    """Trace the training step that the worker runs."""
    from mdctl.training.program import make_training_program

    return make_training_program(spec, mesh, shape).lower()


def lower_denoising(spec: JobSpec, mesh: "jax.sharding.Mesh", shape: LatentShape) -> "jax.stages.Lowered":
    """Trace one evaluation of the network with guidance, as the sampling loop of the worker runs it."""
    import jax
    import jax.numpy as jnp

    from mdctl.diffusion.guidance import Guidance, guided
    from mdctl.networks.opening import open_network
    from mdctl.parallel.choice import make_execution
    from mdctl.parallel.rules import activation_sharding, parameter_shardings, replicated

    model, batch = spec.model, spec.layout.global_batch
    execution = make_execution(
        mesh, attention=spec.attention, remat="none", dtype=model.activations_dtype, param_dtype=model.weights_dtype
    )
    denoiser = open_network(spec.catalogue_model, None, execution, None)
    rows, whole = activation_sharding(mesh, "batch"), replicated(mesh)

    def placed(leaf: Any, sharding: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    params = jax.tree.map(placed, denoiser.abstract, parameter_shardings(mesh, denoiser.abstract, denoiser.layout))
    given = {name: placed(leaf, rows) for name, leaf in denoiser.conditioning(batch).items()}
    null = {name: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype, sharding=whole) for name, leaf in given.items()}
    x = jax.ShapeDtypeStruct((batch, *shape), jnp.float32, sharding=rows)
    times = jax.ShapeDtypeStruct((batch,), jnp.float32, sharding=rows)

    def evaluate(params: Any, x: Any, times: Any, given: Any, null: Any) -> Any:
        return guided(denoiser.denoise, null, Guidance(spec.sampling.guidance))(params, x, times, given)

    return jax.jit(evaluate, out_shardings=rows).lower(params, x, times, given, null)


def report_memory(job: DiffusionJob, memory: Any) -> bool:
    """Print what one device holds, and return whether it has that much."""
    rows = {
        "state and batch": memory.argument_size_in_bytes,
        "results beside the state": memory.output_size_in_bytes - memory.alias_size_in_bytes,
        "temporaries": memory.temp_size_in_bytes,
        "program": memory.generated_code_size_in_bytes,
    }
    used: float = sum(rows.values()) / GIB
    limit = job.spec.resolved_slice.hbm_gib
    assert limit is not None
    print("\nmemory of one device      GiB")
    for name, size in rows.items():
        print(f"  {name:<24}{size / GIB:7.2f}")
    print(f"  {'total':<24}{used:7.2f} of {limit:g}: {'fits' if used <= limit else 'DOES NOT FIT'}")
    if memory.host_temp_size_in_bytes:
        print(f"  {'in host memory':<24}{memory.host_temp_size_in_bytes / GIB:7.2f}")
    return used <= limit


def report_time(job: DiffusionJob, text: str) -> None:
    """Print what one step should take."""
    from arithmetic import step_flops
    from cost import CHIPS, KERNELS, judge

    generation = job.spec.resolved_slice.generation
    if generation not in CHIPS:
        print(f"\nno step time: nothing is known of {generation}'s kernels")
        return
    chip = CHIPS[generation]
    cost = judge(text, chip)
    print("\none step                      s")
    print(f"  {'products':<24}{cost.dots:9.3f}")
    print(f"  {'memory-bound':<24}{cost.memory:9.3f}")
    for name, seconds in cost.kernels.items():
        print(f"  {name:<24}{seconds:9.3f}  at {KERNELS[name].share:.0%} of the peak, as counted on v5p")
    for name, size in cost.wire.items():
        print(f"  {name:<24}{size / chip.wire:9.3f}  {size / GIB:.1f} GiB sent")
    band = cost.band(chip)
    least = step_flops(job.spec, latent_shape(job.spec)) / job.spec.layout.num_devices / chip.flops_per_second
    print("  " + "   ".join(f"{name} {seconds:.3f}" for name, seconds in zip(BAND, band, strict=True)))
    print("  " + "   ".join(f"MFU {least / seconds:.1%}" for seconds in band))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""JAX as the spec wants it, and the devices that it found.

A spec whose environment says JAX_PLATFORMS=cpu rehearses its job: the same hosts, mesh and program, on as many CPU
devices as the slice has of its own. A host that was to have others and finds none still refuses.
"""

import os

import jax

from mdctl.spec.errors import MdctlError, SpecError
from mdctl.spec.job import JobSpec

PLATFORMS = "JAX_PLATFORMS"

THREADS = "NPROC"
"""How many threads XLA computes with on CPUs, which it reads when it looks for devices. Unset there are as many as
processors or devices. A collective between hosts keeps its thread for as long as it waits, and a device may wait in
several: with four devices and four threads, hosts kept each other waiting within a dozen steps, for ever."""
THREADS_PER_DEVICE = 8


def configure(spec: JobSpec) -> None:
    """Set what must be set before JAX looks for devices."""
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    slice_ = spec.resolved_slice
    if backend(spec) == "cpu":
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", slice_.devices_per_host)
        if _is_between_hosts(spec):
            os.environ.setdefault(THREADS, str(THREADS_PER_DEVICE * slice_.devices_per_host))
    if spec.compilation_cache_dir is not None and not _finds_nothing(spec):
        jax.config.update("jax_compilation_cache_dir", spec.compilation_cache_dir)


def check_devices(spec: JobSpec) -> None:
    """Compare the devices with the slice.

    Raises:
        SpecError: they are of another kind.
        MdctlError: there are more or fewer.
    """
    slice_, found = spec.resolved_slice, jax.default_backend()
    if found != backend(spec):
        raise SpecError(
            f"slice {spec.slice} has {slice_.kind} devices, but JAX finds {found} ones here; "
            f"use an image with JAX for {slice_.kind}, or another slice, or rehearse with environment.{PLATFORMS}=cpu"
        )
    wanted = slice_.devices * spec.slices_per_program
    if (jax.device_count(), jax.local_device_count()) != (wanted, slice_.devices_per_host):
        raise MdctlError(
            f"{spec.slices_per_program} x {spec.slice} has {wanted} devices, {slice_.devices_per_host} on each host, "
            f"but JAX finds {jax.device_count()} and {jax.local_device_count()}; look at the nodes"
        )


def backend(spec: JobSpec) -> str:
    """Return what the job is to compute on, as JAX calls it: tpu, gpu or cpu."""
    return "cpu" if spec.environment.get(PLATFORMS) == "cpu" else spec.resolved_slice.kind


def _is_between_hosts(spec: JobSpec) -> bool:
    """Say whether one program runs on several hosts."""
    return spec.resolved_slice.hosts * spec.slices_per_program > 1


def _finds_nothing(spec: JobSpec) -> bool:
    """Say whether hosts cannot share compiled programs: on CPUs, what JAX knows one by differs from host to host.

    Rank 0 alone would find its own, and wait half a minute for peers that compile: then its collectives give up.
    """
    return backend(spec) == "cpu" and _is_between_hosts(spec)

"""JAX as the spec wants it, and the devices that it found."""

import jax

from mdctl.spec.errors import MdctlError, SpecError
from mdctl.spec.job import JobSpec

BACKENDS = {"tpu": "tpu", "gpu": "gpu", "cpu": "cpu"}


def configure(spec: JobSpec) -> None:
    """Set what must be set before JAX looks for devices."""
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    slice_ = spec.resolved_slice
    if slice_.kind == "cpu":
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", slice_.devices_per_host)
    if spec.compilation_cache_dir is not None:
        jax.config.update("jax_compilation_cache_dir", spec.compilation_cache_dir)


def check_devices(spec: JobSpec) -> None:
    """Compare the devices with the slice.

    Raises:
        SpecError: they are of another kind.
        MdctlError: there are more or fewer.
    """
    slice_, found = spec.resolved_slice, jax.default_backend()
    if found != BACKENDS[slice_.kind]:
        raise SpecError(
            f"slice {spec.slice} has {slice_.kind} devices, but JAX finds {found} ones here; "
            f"use an image with JAX for {slice_.kind}, or another slice"
        )
    wanted = slice_.devices * spec.num_slices
    if (jax.device_count(), jax.local_device_count()) != (wanted, slice_.devices_per_host):
        raise MdctlError(
            f"{spec.num_slices} x {spec.slice} has {wanted} devices, {slice_.devices_per_host} on each host, "
            f"but JAX finds {jax.device_count()} and {jax.local_device_count()}; look at the nodes"
        )

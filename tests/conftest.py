"""Set what every test relies on: eight CPU devices, strict promotion, shape checking on, buckets without a detour."""

import os

os.environ["JAX_PLATFORMS"] = os.environ.get("MDCTL_TEST_PLATFORMS", "cpu")  # make test-gpu says cuda,cpu
os.environ["XLA_FLAGS"] = (os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8").strip()
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"  # else it asks for each bucket's kind for a minute

from hypothesis import settings
from jaxtyping import install_import_hook

# Only packages whose functions carry array shapes: the control plane has none.
PACKAGES = ("models", "lora", "diffusion", "training", "inference", "parallel", "data")
SHAPED = [f"mdctl.{package}" for package in PACKAGES]
hook = install_import_hook(SHAPED, "beartype.beartype")

import jax

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# The same examples every time, and no verdict by the clock: a busy machine is not a bug.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")

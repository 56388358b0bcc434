"""What a spec lets a person name is what stands behind the names."""

from mdctl.diffusion.samplers.registry import FLOW_SAMPLERS, VARIANCE_PRESERVING_SAMPLERS
from mdctl.parallel.attention.kernels import KERNELS
from mdctl.parallel.remat import REMAT
from mdctl.spec import refused


def test_every_name_of_a_spec_has_something_behind_it() -> None:
    assert set(refused.ATTENTION) == set(KERNELS)
    assert set(refused.REMAT) == set(REMAT)
    assert set(refused.SAMPLERS["flow"]) == set(FLOW_SAMPLERS)
    assert set(refused.SAMPLERS["variance-preserving"]) == set(VARIANCE_PRESERVING_SAMPLERS)

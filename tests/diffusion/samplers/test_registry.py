import pytest

from mdctl.diffusion.samplers.registry import FLOW_SAMPLERS, flow_sampler
from mdctl.spec.errors import UserError


def test_an_unknown_sampler_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"'unipcc'; the nearest is 'unipc' \(all: unipc, euler, dpm\+\+2m\)"):
        flow_sampler("unipcc", 10, 3.0)


@pytest.mark.parametrize("name", FLOW_SAMPLERS)
def test_a_sampler_has_one_time_per_step(name: str) -> None:
    assert flow_sampler(name, 7, 3.0).times.shape == (7,)

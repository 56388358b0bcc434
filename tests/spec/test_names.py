import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdctl.spec.errors import SpecError
from mdctl.spec.names import MAX_LABEL, check_name, coordinator_address, name_budget, pod_hostname
from mdctl.spec.slices import all_slices

DNS_1035 = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")


@given(st.integers(1, 512), st.integers(1, 15_000))
def test_the_budget_is_exact(slices, hosts):
    longest = "a" * name_budget(slices, hosts)
    check_name(longest, slices, hosts)
    assert len(pod_hostname(longest, slices - 1, hosts - 1) + "-xxxxx") == MAX_LABEL
    with pytest.raises(SpecError, match="1 too many"):
        check_name(longest + "a", slices, hosts)


def test_names_of_the_whole_catalogue_stay_within_the_limits():
    for slice_ in all_slices():
        name = "train-wan-k7x2p"
        check_name(name, 512, slice_.hosts)
        pod = f"{pod_hostname(name, 511, slice_.hosts - 1)}-xxxxx"
        assert len(pod) <= MAX_LABEL
        assert DNS_1035.fullmatch(pod)


@pytest.mark.parametrize("name", ["1st", "-a", "a-", "A", "a.b", "a_b", "", "ä"])
def test_names_that_no_service_can_have_are_refused(name):
    with pytest.raises(SpecError, match="must start with a letter"):
        check_name(name, 1, 1)


def test_rank_0_is_the_first_host_of_the_first_slice():
    assert coordinator_address("train-wan") == "train-wan-slice-0-0.train-wan:8482"

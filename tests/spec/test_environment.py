import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdctl.spec.environment import (
    COORDINATOR,
    HOST_INDEX,
    HOSTS_PER_SLICE,
    NUM_SLICES,
    SHARD,
    SHARDS,
    SLICE_INDEX,
    Place,
    read_place,
)
from mdctl.spec.errors import SpecError
from mdctl.spec.shard import WHOLE, Shard


@given(slices=st.integers(1, 20), hosts=st.integers(1, 100), data=st.data())
def test_a_place_is_read_as_it_was_written_and_ranks_are_dense(slices, hosts, data):
    place = Place(
        coordinator="job-w-0-0.job:8482",
        num_slices=slices,
        hosts_per_slice=hosts,
        slice_index=data.draw(st.integers(0, slices - 1)),
        host_index=data.draw(st.integers(0, hosts - 1)),
    )
    assert read_place(place.environment()) == place
    assert 0 <= place.rank < place.num_processes
    assert divmod(place.rank, hosts) == (place.slice_index, place.host_index)


def test_without_a_coordinator_a_host_is_alone():
    assert read_place({"PATH": "/bin"}) == Place()
    assert Place().environment() == {}
    assert (Place().rank, Place().num_processes) == (0, 1)


@given(st.integers(2, 512).flatmap(lambda count: st.tuples(st.integers(0, count - 1), st.just(count))))
def test_a_shard_is_read_as_it_was_written_and_is_numbered_among_all(drawn):
    place = Place(shard=Shard(*drawn))
    assert read_place(place.environment()) == place
    assert (place.rank, place.number, place.num_processes) == (0, drawn[0], 1)


def test_a_host_of_a_program_over_all_slices_is_numbered_by_its_rank():
    place = Place(coordinator="a:1", num_slices=2, hosts_per_slice=8, slice_index=1, host_index=3)
    assert (place.shard, place.number) == (WHOLE, place.rank)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({SHARD: "4", SHARDS: "4"}, "MDCTL_SHARD is 4, outside 0 to 3"),
        ({SHARDS: "4"}, "MDCTL_SHARDS is set but MDCTL_SHARD is '', not a number; set both, or neither"),
        ({SHARD: "0"}, "MDCTL_SHARD is set but MDCTL_SHARDS is '', not a number; set both, or neither"),
    ],
)
def test_a_shard_that_cannot_be_is_refused(variables, message):
    with pytest.raises(SpecError, match=re.escape(message)):
        read_place(variables)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({HOST_INDEX: "8"}, "MDCTL_HOST_INDEX is 8, outside 0 to 7"),
        ({SLICE_INDEX: "2"}, "MDCTL_SLICE_INDEX is 2, outside 0 to 1"),
        ({HOST_INDEX: ""}, "MDCTL_COORDINATOR is set but MDCTL_HOST_INDEX is '', not a number"),
        ({NUM_SLICES: "two"}, "MDCTL_NUM_SLICES is 'two', not a number"),
        ({HOSTS_PER_SLICE: "-1"}, "MDCTL_HOSTS_PER_SLICE is '-1', not a number"),
    ],
)
def test_an_environment_that_contradicts_itself_is_refused(change, message):
    place = Place(coordinator="a:1", num_slices=2, hosts_per_slice=8)
    with pytest.raises(SpecError, match=re.escape(message)):
        read_place(place.environment() | change)


def test_a_missing_variable_is_named():
    with pytest.raises(SpecError, match="MDCTL_NUM_SLICES is ''"):
        read_place({COORDINATOR: "a:1"})

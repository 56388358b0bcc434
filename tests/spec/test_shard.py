from hypothesis import given
from hypothesis import strategies as st

from mdctl.spec.shard import WHOLE, Shard


@given(prompts=st.integers(0, 60), shards=st.integers(1, 12))
def test_each_prompt_is_of_exactly_one_shard_and_none_has_two_more_than_another(prompts, shards):
    parts = [{n for n in range(prompts) if Shard(index, shards).has(n)} for index in range(shards)]
    assert sorted(n for part in parts for n in part) == list(range(prompts))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_the_whole_has_all():
    assert all(WHOLE.has(number) for number in range(9))

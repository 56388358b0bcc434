from hypothesis import given
from hypothesis import strategies as st

from mdctl.spec.merging import Change, changes, combine, merge

LEAVES = st.none() | st.integers(0, 3)
LAYERS = st.recursive(
    st.dictionaries(st.sampled_from("abc"), LEAVES, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), LEAVES | inner, max_size=3),
)


@given(LAYERS, LAYERS)
def test_what_the_layer_says_is_there_afterwards(base, layer):
    merged = merge(base, layer)
    assert merge(merged, layer) == merged
    assert set(merged) == {*base, *layer}


@given(LAYERS, LAYERS, LAYERS)
def test_layers_can_be_merged_in_any_grouping(bottom, middle, top):
    def without_replaced_parts(layer):
        return {name: value for name, value in layer.items() if not isinstance(value, dict)}

    bottom, middle, top = (without_replaced_parts(layer) for layer in (bottom, middle, top))
    assert merge(merge(bottom, middle), top) == merge(bottom, merge(middle, top))


@given(LAYERS)
def test_nothing_changes_between_a_mapping_and_itself(data):
    assert changes(data, data) == []


def test_mappings_merge_and_other_values_replace():
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert merge(base, {"a": {"c": [3]}, "d": None}) == {"a": {"b": 1, "c": [3]}, "d": None}
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": 1}


def test_the_last_of_two_ways_to_say_a_batch_stays():
    base = {"spec": {"batch": {"perDevice": 0.25}}}
    assert merge(base, {"spec": {"batch": {"globalSize": 8}}}) == {"spec": {"batch": {"globalSize": 8}}}
    assert merge(base, {"spec": {"batch": {"globalSize": None}}})["spec"]["batch"]["perDevice"] == 0.25


def test_prompts_and_a_file_of_prompts_replace_each_other():
    base = {"spec": {"sampling": {"promptsFile": "a", "steps": 3}}}
    merged = merge(base, {"spec": {"sampling": {"prompts": ["b"]}}})
    assert merged == {"spec": {"sampling": {"prompts": ["b"], "steps": 3}}}


def test_two_ways_said_at_once_both_stay():
    batch = {"globalSize": 4, "perDevice": 0.5}
    one, other = ({"spec": {"batch": {name: value}}} for name, value in batch.items())
    assert combine(one, other) == {"spec": {"batch": batch}} == merge(one, {"spec": {"batch": batch}})


def test_changes_are_listed_by_path():
    before, after = {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 4}, "e": 5}
    assert changes(before, after) == [Change("a.c", 2, 4), Change("d", 3, None), Change("e", None, 5)]

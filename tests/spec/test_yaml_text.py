import yaml
from hypothesis import given
from hypothesis import strategies as st

from mdctl.spec.yaml_text import dump, load

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\ufeff"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)


@given(VALUES)
def test_what_is_written_reads_back(value):
    assert yaml.safe_load(dump(value)) == load(dump(value), "here") == value


def test_a_value_that_stands_twice_is_written_twice():
    shared = {"a": [1]}
    assert "&" not in dump({"one": shared, "two": shared})


def test_order_is_kept_and_texts_of_several_lines_are_blocks():
    assert dump({"kind": "A", "apiVersion": "b: c\nd: e\n"}) == "kind: A\napiVersion: |\n  b: c\n  d: e\n"

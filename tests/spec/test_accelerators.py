import itertools
import math

import pytest

from mdctl.spec.accelerators import CUBE, GPUS, TPUS

# (name, topologies that its documentation lists, one that it rules out)
DOCUMENTED = [
    ("v4", ["2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8", "8x8x12", "16x16x16"], "16x16x20"),
    ("v5e", ["1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16"], "16x32"),
    ("v5p", ["2x2x1", "2x2x2", "2x4x4", "4x4x4", "4x4x12", "4x8x12", "8x16x16", "16x16x24"], "20x20x20"),
    ("v6e", ["1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16"], "2x2x2"),
    ("tpu7x", ["1x1x1", "2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x8x8", "8x16x16", "16x24x24"], "6x6x6"),
]


def dims(text):
    return tuple(map(int, text.split("x")))


@pytest.mark.parametrize(("name", "there", "not_there"), DOCUMENTED)
def test_topologies_are_the_documented_ones(name, there, not_there):
    generation = next(tpu for tpu in TPUS if tpu.name == name)
    assert {dims(text) for text in there} <= set(generation.topologies)
    assert dims(not_there) not in generation.topologies


@pytest.mark.parametrize("generation", TPUS, ids=lambda tpu: tpu.name)
def test_every_topology_keeps_the_rules(generation):
    for topology in generation.topologies:
        chips = math.prod(topology)
        assert chips <= generation.max_chips
        if chips > CUBE**3 and len(topology) == 3:
            assert list(topology) == sorted(topology)
            assert not any(size % CUBE for size in topology)
        assert any(
            machine.chips == chips or (machine.multi_host and chips % machine.chips == 0)
            for machine in generation.machines
        )


@pytest.mark.parametrize("generation", TPUS, ids=lambda tpu: tpu.name)
def test_topologies_come_by_size_and_the_most_cubic_first(generation):
    by_chips = itertools.groupby(generation.topologies, key=math.prod)
    sizes, first = zip(*((chips, next(group)) for chips, group in by_chips), strict=True)
    assert list(sizes) == sorted(set(sizes))
    for topology in first:
        alternatives = [other for other in generation.topologies if math.prod(other) == math.prod(topology)]
        assert max(topology) - min(topology) == min(max(other) - min(other) for other in alternatives)


def test_no_two_kinds_of_node_carry_the_same_label():
    labels = [tpu.accelerator for tpu in TPUS] + [gpu.accelerator for gpu in GPUS if gpu.network]
    assert len(labels) == len(set(labels))

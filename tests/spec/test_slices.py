import math
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mdctl.spec.accelerators import GPUS, MAX_NODES, TPUS
from mdctl.spec.errors import SliceError
from mdctl.spec.slices import MAX_LOCAL_DEVICES, Slice, all_slices, describe, named_slices, resolve_slice


def facts(name):
    slice_ = resolve_slice(name)
    return slice_.name, slice_.topology_label, slice_.chips, slice_.cores, slice_.hosts, slice_.devices


@pytest.mark.parametrize(
    ("written", "name", "topology", "chips", "cores", "hosts", "devices"),
    [
        ("v5p-64", "v5p-64", "2x4x4", 32, 64, 8, 32),
        ("v5p-2x4x4", "v5p-64", "2x4x4", 32, 64, 8, 32),
        ("ct5p-hightpu-4t:8", "v5p-64", "2x4x4", 32, 64, 8, 32),
        ("v4-8", "v4-8", "2x2x1", 4, 8, 1, 4),
        ("v5litepod-16", "v5e-16", "4x4", 16, 16, 4, 16),
        ("v5e-16", "v5e-16", "4x4", 16, 16, 4, 16),
        ("V6E-256", "v6e-256", "16x16", 256, 256, 64, 256),
        ("v6e-8", "v6e-8", "2x4", 8, 8, 1, 8),
        ("ct6e-standard-4t:2", "ct6e-standard-4t:2", "2x4", 8, 8, 2, 8),
        ("tpu7x-128", "tpu7x-128", "4x4x4", 64, 128, 16, 128),
        ("v7x-2", "tpu7x-2", "1x1x1", 1, 2, 1, 2),
        ("tpu-v5p-8", "v5p-8", "2x2x1", 4, 8, 1, 4),
        ("v5p-1024", "v5p-1024", "8x8x8", 512, 1024, 128, 512),
        ("v5p-4x4x32", "v5p-4x4x32", "4x4x32", 512, 1024, 128, 512),
        ("v4-8192", "v4-8192", "16x16x16", 4096, 8192, 1024, 4096),
        ("v5p-12288", "v5p-12288", "16x16x24", 6144, 12288, 1536, 6144),
        ("h100-1", "h100-1", None, 1, 1, 1, 1),
        ("a3-highgpu-4g", "h100-4", None, 4, 4, 1, 4),
        ("h100-8", "h100-8", None, 8, 8, 1, 8),
        ("h100-80gb-8", "h100-8", None, 8, 8, 1, 8),
        ("a3-mega:2", "h100-mega-16", None, 16, 16, 2, 16),
        ("h200-16", "h200-16", None, 16, 16, 2, 16),
        ("a3-ultragpu-8g:4", "h200-32", None, 32, 32, 4, 32),
        ("b200-8", "b200-8", None, 8, 8, 1, 8),
        (" a4-highgpu-8g ", "b200-8", None, 8, 8, 1, 8),
        ("cpu-8", "cpu-8", None, 8, 8, 1, 8),
        ("cpu-2x4", "cpu-2x4", None, 8, 8, 2, 8),
        ("cpu-1x4", "cpu-4", None, 4, 4, 1, 4),
    ],
)
def test_names_as_people_write_them(written, name, topology, chips, cores, hosts, devices):
    assert facts(written) == (name, topology, chips, cores, hosts, devices)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("v5p-48", "nearest: v5p-32 (2x2x4, 16 chips) and v5p-64 (2x4x4, 32 chips)"),
        ("v5p-99999", "nearest: v5p-12288 (16x16x24, 6144 chips)"),
        ("v5p-0", "nearest: v5p-8 (2x2x1, 4 chips)"),
        ("v5p-4x4x2", "write it 2x4x4, which is v5p-64"),
        ("v5p-20x20x20", "nearest: v5p-12288"),
        ("v6e-2", "nearest: v6e-1 (1x1, 1 chip) and v6e-4 (2x2, 4 chips)"),
        ("v6e-2x2x2", "nearest: v6e-4 (2x2, 4 chips) and v6e-16 (4x4, 16 chips)"),
        ("ct6e-standard-8t:2", "nearest: v6e-8 (2x4, 8 chips)"),
        ("h100-3", "nearest: h100-2 (2 GPUs) and h100-4 (4 GPUs)"),
        ("h100-5", "nearest: h100-4 (4 GPUs) and h100-8 (8 GPUs)"),
        ("a3-highgpu-1g:2", "a3-highgpu-1g has 1 GPU, and a job takes one; nearest: h100-1 (1 GPU)"),
        ("h200-12", "nearest: h200-8 (8 GPUs) and h200-16 (16 GPUs)"),
        ("a3-mega:0", "nearest: h100-mega-8 (8 GPUs)"),
        (f"a3-mega:{MAX_NODES + 1}", f"nearest: h100-mega-{MAX_NODES * 8} ({MAX_NODES * 8} GPUs)"),
        ("v5p", "says no size: write one of v5p-8, v5p-16, v5p-32, v5p-64"),
        ("v5q-64", "perhaps v5p-64"),
        ("cpu-0", "nearest: cpu-1"),
        ("cpu-4096", f"nearest: cpu-{MAX_LOCAL_DEVICES}"),
        ("cpu-two", "write cpu-8 for 8 devices, or cpu-2x4"),
        ("", "is none that mdctl knows"),
    ],
)
def test_what_cannot_exist_names_what_can(written, message):
    with pytest.raises(SliceError, match=re.escape(message)) as error:
        resolve_slice(written)
    assert repr(written) in str(error.value)


def test_the_whole_catalogue_adds_up():
    for slice_ in all_slices():
        assert slice_.hosts * slice_.chips_per_host == slice_.chips
        assert slice_.devices == slice_.hosts * slice_.devices_per_host
        assert slice_.hbm_gib is not None
        if slice_.topology is not None:
            assert math.prod(slice_.topology) == slice_.chips
            assert slice_.node_selector["cloud.google.com/gke-tpu-topology"] == slice_.topology_label
        assert resolve_slice(slice_.name) == slice_
        assert describe(slice_).startswith(f"{slice_.name}: ")


def test_a_name_as_long_as_a_book_is_cut_in_the_message():
    with pytest.raises(SliceError) as error:
        resolve_slice("v5p-" * 1000)
    assert len(str(error.value)) < 200


def test_every_slice_has_a_name_and_nodes_of_its_own():
    slices = all_slices()
    assert len({slice_.name for slice_ in slices}) == len(slices)
    own = [slice_ for slice_ in slices if slice_.kind == "tpu" or slice_.chips_per_host < 8]
    assert len({tuple(slice_.node_selector.items()) for slice_ in own}) == len(own)


def test_every_generation_and_machine_can_be_named():
    generations = {slice_.generation for slice_ in named_slices()}
    assert generations == {tpu.name for tpu in TPUS} | {gpu.family for gpu in GPUS}
    machines = {slice_.machine_type for slice_ in all_slices()}
    assert machines == {machine.name for tpu in TPUS for machine in tpu.machines} | {gpu.name for gpu in GPUS}


@pytest.mark.parametrize("generation", TPUS, ids=lambda tpu: tpu.name)
@given(count=st.integers(0, 20_000))
def test_the_nearest_are_just_below_and_above(generation, count):
    sizes = {int(s.name.rpartition("-")[2]) for s in named_slices() if s.name.startswith(f"{generation.name}-")}
    if count in sizes:
        assert resolve_slice(f"{generation.name}-{count}").name == f"{generation.name}-{count}"
        return
    with pytest.raises(SliceError) as error:
        resolve_slice(f"{generation.name}-{count}")
    nearest = [int(size) for size in re.findall(rf"{generation.name}-(\d+) \(", str(error.value))]
    below, above = [n for n in sizes if n < count], [n for n in sizes if n > count]
    assert nearest == ([max(below)] if below else []) + ([min(above)] if above else [])


PIECES = st.sampled_from(
    [
        "v5p",
        "v6e",
        "tpu7x",
        "h100",
        "a3-mega",
        "ct6e-standard-4t",
        "cpu",
        "tpu",
        "-",
        ":",
        "x",
        "0",
        "4",
        "64",
        "²",
        " ",
    ]
)


@given(st.text() | st.lists(PIECES).map("".join))
@example("v5p-" + "9" * 5000)
@example("cpu-0x0")
@example("v5p-٦٤")
def test_any_text_is_a_slice_or_our_error(text):
    try:
        slice_ = resolve_slice(text)
    except SliceError:
        return
    assert isinstance(slice_, Slice)
    assert resolve_slice(slice_.name) == slice_


def test_describe_says_what_a_name_resolved_to():
    assert describe(resolve_slice("v5p-64")) == (
        "v5p-64: TPU v5p 2x4x4, 32 chips (64 cores) on 8 hosts of 4 (ct5p-hightpu-4t); 32 JAX devices of 95 GiB"
    )
    assert describe(resolve_slice("tpu7x-8"), count=2) == (
        "tpu7x-8: 2 slices, each TPU tpu7x 2x2x1, 4 chips (8 cores) on 1 host of 4 (tpu7x-standard-4t); "
        "16 JAX devices of 96 GiB"
    )
    assert describe(resolve_slice("cpu-1"), 2) == "cpu-1: this computer, 2 processes, 2 JAX devices"
    assert describe(resolve_slice("cpu-2x4")) == "cpu-2x4: this computer, 2 processes, 8 JAX devices"


def test_a_machine_type_is_selected_where_the_topology_leaves_it_open():
    key = "node.kubernetes.io/instance-type"
    assert resolve_slice("v6e-8").node_selector[key] == "ct6e-standard-8t"
    assert resolve_slice("ct6e-standard-4t:2").node_selector[key] == "ct6e-standard-4t"
    assert key not in resolve_slice("v6e-16").node_selector

from math import gcd, prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdctl.spec.errors import SpecError
from mdctl.spec.layout import AXES, resolve_layout
from mdctl.spec.placement import DcnAxes, IciAxes, MeshSpec
from mdctl.spec.training import Batch

SIZES = st.sampled_from([1, 2, 3, 4, 8])


def layout(devices, slices=1, batch=None, ici=None, dcn=None):
    mesh = MeshSpec(ici=IciAxes(**(ici or {})), dcn=DcnAxes(**(dcn or {})))
    return resolve_layout(mesh, batch or Batch(), devices, slices)


@st.composite
def meshes(draw):
    """Draw a mesh whose axes fill its devices, in each group one of them perhaps as -1."""
    groups = [{name: draw(SIZES) for name in ("data", "fsdp", "context", "tensor")} for _ in range(2)]
    written = [draw(st.sampled_from([sizes, *({**sizes, name: -1} for name in sizes)])) for sizes in groups]
    return groups, written


def outcome(drawn, batch):
    """Lay a batch over a drawn mesh: its layout, or the words in which it is refused."""
    groups, written = drawn
    devices, slices = (prod(sizes.values()) for sizes in groups)
    try:
        return layout(devices, slices, Batch(global_size=batch), *written)
    except SpecError as error:
        return str(error)


@given(meshes(), st.integers(1, 12))
def test_a_layout_covers_every_device_and_the_whole_batch(drawn, times):
    (ici, dcn), _ = drawn
    batch = ici["data"] * dcn["data"] * dcn["fsdp"] * times
    found = outcome(drawn, batch)
    assert not isinstance(found, str), found
    assert (found.ici, found.dcn) == (tuple(ici.values()), tuple(dcn.values()))
    assert found.num_devices == prod(found.shape) == prod(ici.values()) * prod(dcn.values())
    assert prod(found.ici_shape) * found.num_slices == prod(found.shape)
    assert found.surplus == found.total.fsdp // gcd(batch // found.total.data, found.total.fsdp)
    assert found.batch_shards * found.token_shards * found.total.tensor == found.num_devices
    assert batch % found.batch_shards == 0


@given(meshes(), st.integers(1, 256))
def test_a_batch_is_laid_out_or_refused_with_the_way_out(drawn, batch):
    found = outcome(drawn, batch)
    if isinstance(found, str):
        assert f"a global batch of {batch} " in found
        near = int(found.partition("; use a batch of ")[2].split()[0].rstrip(","))
        assert not isinstance(outcome(drawn, near), str) or "tokens" in outcome(drawn, near)
    else:
        assert batch % found.batch_shards == 0


@given(st.integers(1, 512), st.integers(1, 64))
def test_a_batch_per_device_is_whole_over_all_devices(devices, batch):
    assert layout(devices, batch=Batch(per_device=batch / devices)).global_batch == batch


@given(st.integers(2, 100), st.floats(0.001, 4))
def test_every_batch_per_device_that_is_offered_is_taken(devices, per_device):
    words = ""
    try:
        layout(devices, batch=Batch(per_device=per_device))
    except SpecError as error:
        words = str(error).partition("; use ")[2]
    for offer in words.split(" or ") if words else ():
        value, _, batch = offer.rstrip(")").partition(" (batch ")
        assert layout(devices, batch=Batch(per_device=float(value))).global_batch == int(batch)


def test_a_quarter_of_a_video_per_device():
    """`per_device_batch_size=0.25` with `ici_fsdp_parallelism=4` is a batch of 1 whose tokens four devices share."""
    found = layout(4, batch=Batch(per_device=0.25))
    assert (found.global_batch, found.surplus, found.batch_shards, found.token_shards) == (1, 4, 1, 4)
    assert dict(zip(AXES, found.shape, strict=True)) == {"data": 1, "fsdp": 1, "surplus": 4, "context": 1, "tensor": 1}


def test_the_default_batch_is_one_video_for_each_shard():
    assert layout(8, 2).global_batch == 16


def test_the_line_that_commands_print():
    found = layout(32, 2, Batch(per_device=0.25), ici={"context": 4})
    assert found.describe() == "mesh data 2 x fsdp 8 x context 4 (64 devices): batch 16 in 16, tokens in 4"
    assert layout(1).describe() == "mesh of one device (1 devices): batch 1 in 1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"devices": 32, "ici": {"tensor": 3}},
            "mesh.ici: tensor 3 does not divide 32 JAX devices in the slice, so fsdp -1 cannot be filled; "
            "choose axes whose product divides 32",
        ),
        (
            {"devices": 32, "ici": {"fsdp": 4, "context": 4}},
            "mesh.ici: fsdp 4 x context 4 = 16, but there are 32 JAX devices in the slice; "
            "set one axis to -1 to take what is left, or make the product 32",
        ),
        (
            {"devices": 4, "slices": 3, "dcn": {"data": 2}},
            "mesh.dcn: data 2, but there are 3 slices; set one axis to -1 to take what is left, or make the product 3",
        ),
        (
            {"devices": 32, "batch": Batch(per_device=0.26)},
            "batch.perDevice 0.26 x 32 devices = 8.32, not a whole batch; use 0.25 (batch 8) or 0.28125 (batch 9)",
        ),
        (
            {"devices": 4, "slices": 2, "batch": Batch(global_size=3)},
            "a global batch of 3 cannot be split over the data axis of 2; "
            "use a batch of 2 or 4, or move devices from data to fsdp",
        ),
        (
            {"devices": 2, "slices": 4, "batch": Batch(global_size=1), "dcn": {"data": 1, "fsdp": 4}},
            "a global batch of 1 over data 1 x fsdp 8 leaves 8 fsdp shards for the tokens, more than the 2 inside a "
            "slice, and tokens are not split across slices; use a batch of 4, or dcn.data instead of dcn.fsdp",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_both_values_and_the_way_out(arguments, message):
    with pytest.raises(SpecError) as error:
        layout(**arguments)
    assert str(error.value) == message

import re

import pytest

from mdctl.spec import refused
from mdctl.spec.errors import SpecError
from tests.spec.jobs import job

FIELDS = {
    "attention.kernel": (refused.ATTENTION, refused.ATTENTION_TO_COME),
    "remat": (refused.REMAT, refused.REMAT_TO_COME),
    "sampling.sampler": (refused.SAMPLERS["flow"], ()),
    "model.type": (("T2V",), refused.MODEL_TYPES_TO_COME),
}


def setting(path, value):
    part, _, name = path.rpartition(".")
    return {part: {name: value}} if part else {name: value}


@pytest.mark.parametrize(("path", "value"), [(path, value) for path in FIELDS for value in FIELDS[path][0]])
def test_what_is_implemented_is_taken(path, value):
    slices = {"gpu": "h100-16"}
    kind = refused.ATTENTION_ON.get(value)
    job(**setting(path, value), **({"slice": slices[kind], "batch": {"globalSize": 16}} if kind in slices else {}))


@pytest.mark.parametrize(
    ("kernel", "slice_"), [("cudnn", "v5p-64"), ("cudnn_flash_te", "cpu-1"), ("splash", "h100-16")]
)
def test_a_kernel_is_refused_on_hardware_that_it_does_not_run_on(kernel, slice_):
    with pytest.raises(SpecError, match=f"attention.kernel '{kernel}' runs on (tpu|gpu) alone, and slice {slice_} is "):
        job(attention={"kernel": kernel}, slice=slice_, batch={"globalSize": 16})


def test_a_kernel_of_bfloat16_is_refused_for_float32():
    with pytest.raises(
        SpecError, match=r"'cudnn' computes in bfloat16 alone, and model\.activationsDtype is 'float32'"
    ):
        job(
            attention={"kernel": "cudnn"},
            slice="h100-16",
            batch={"globalSize": 16},
            model={"activationsDtype": "float32"},
        )


@pytest.mark.parametrize(("path", "value"), [(path, value) for path in FIELDS for value in FIELDS[path][1]])
def test_what_is_to_come_is_refused_by_name(path, value):
    with pytest.raises(SpecError) as error:
        job(**setting(path, value))
    assert f"{path} {value!r} is not implemented in this version; use " in str(error.value)
    assert repr(FIELDS[path][0][0]) in str(error.value)


@pytest.mark.parametrize("path", FIELDS)
def test_what_is_called_nothing_is_refused_with_the_nearest(path):
    known = FIELDS[path][0][0]
    with pytest.raises(SpecError) as error:
        job(**setting(path, f"{known}x"))
    assert f"{path} '{known}x' is unknown; the nearest is '{known}'" in str(error.value)


def test_nothing_is_both_implemented_and_to_come():
    assert not [path for path, (now, later) in FIELDS.items() if set(now) & set(later)]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"offloadEncoders": False}, "model.offloadEncoders false is not implemented"),
        ({"vaeTiling": True}, "model.vaeTiling is not implemented for videos, which wan2.1-t2v-"),
        ({"weightsDtype": "bfloat16"}, "model.weightsDtype 'bfloat16' is not implemented for training; use 'float32'"),
    ],
)
def test_settings_the_worker_cannot_follow_are_refused(model, message):
    with pytest.raises(SpecError) as error:
        job(model=model)
    assert message in str(error.value)


PICTURES = {"model": {"name": "sd1.5"}, "video": {"height": 512, "width": 512, "frames": 1}}


@pytest.mark.parametrize("name", refused.SAMPLERS["variance-preserving"])
def test_the_samplers_of_a_model_are_those_of_its_process(name):
    job(**PICTURES, sampling={"sampler": name})
    if name not in refused.SAMPLERS["flow"]:
        with pytest.raises(SpecError, match=re.escape(f"sampling.sampler '{name}' is unknown")):
            job(sampling={"sampler": name})

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdctl.spec.errors import SpecError
from mdctl.spec.fields import field_paths, find_field
from mdctl.spec.job import DiffusionJob
from mdctl.spec.overrides import SHORT_NAMES, apply_overrides, is_override, override_layer
from mdctl.spec.reading import parse_job
from mdctl.spec.recipes import find_recipe
from tests.spec.jobs import attempt, mapping


def overridden(*overrides, base=None):
    return parse_job(apply_overrides(base or find_recipe("train-wan").job(), overrides), "job").spec


KNOWN = [
    "pretrained_model_name_or_path",
    "model_name",
    "model_type",
    "height",
    "width",
    "resolution",
    "num_frames",
    "per_device_batch_size",
    "max_train_steps",
    "learning_rate",
    "attention",
    "remat_policy",
    "run_name",
    "output_dir",
    "jax_cache_dir",
    "weights_dtype",
    "activations_dtype",
    "ici_data_parallelism",
    "ici_fsdp_parallelism",
    "ici_context_parallelism",
    "ici_tensor_parallelism",
    "dcn_data_parallelism",
    "dcn_fsdp_parallelism",
    "dcn_context_parallelism",
    "dcn_tensor_parallelism",
    "flash_min_seq_length",
    "mask_padding_tokens",
    "dataset_type",
    "synthetic_num_samples",
    "synthetic_override_height",
    "synthetic_override_width",
    "synthetic_override_num_frames",
    "offload_encoders",
    "hardware",
]


def test_the_short_names():
    assert sorted(SHORT_NAMES) == sorted(KNOWN)


@pytest.mark.parametrize("name", SHORT_NAMES)
def test_every_short_name_leads_to_fields(name):
    assert [find_field(path) for path in SHORT_NAMES[name].paths]


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("model_name=wan2.1-t2v-1.3b", lambda spec: spec.model.name == "wan2.1-t2v-1.3b"),
        ("model_type=T2V", lambda spec: spec.model.type == "T2V"),
        ("height=480", lambda spec: (spec.video.height, spec.video.width) == (480, 1280)),
        ("width=832", lambda spec: spec.video.width == 832),
        ("resolution=512", lambda spec: (spec.video.height, spec.video.width) == (512, 512)),
        ("num_frames=17", lambda spec: spec.video.frames == 17),
        ("per_device_batch_size=0.5", lambda spec: spec.layout.global_batch == 16),
        ("max_train_steps=7", lambda spec: spec.training.steps == 7),
        ("learning_rate=1e-4", lambda spec: spec.training.optimizer.learning_rate == 1e-4),
        ("attention=DOT_PRODUCT", lambda spec: spec.attention.kernel == "dot_product"),
        ("remat_policy=NONE", lambda spec: spec.remat == "none"),
        ("remat_policy=MATMUL_WITHOUT_BATCH", lambda spec: spec.remat == "matmul_without_batch"),
        ("output_dir=gs://b/a", lambda spec: spec.output_dir == "gs://b/a"),
        ("jax_cache_dir=gs://b/c", lambda spec: spec.compilation_cache_dir == "gs://b/c"),
        ("weights_dtype=Float32", lambda spec: spec.model.weights_dtype == "float32"),
        ("activations_dtype=float32", lambda spec: spec.model.activations_dtype == "float32"),
        ("ici_context_parallelism=2", lambda spec: spec.layout.ici == (1, 16, 2, 1)),
        ("dcn_fsdp_parallelism=1", lambda spec: spec.layout.dcn == (1, 1, 1, 1)),
        ("flash_min_seq_length=0", lambda spec: spec.attention.flash_min_seq_length == 0),
        ("mask_padding_tokens=False", lambda spec: spec.attention.mask_padding_tokens is False),
        ("dataset_type=synthetic", lambda spec: spec.data.type == "synthetic"),
        ("synthetic_num_samples=5", lambda spec: spec.data.synthetic.num_samples == 5),
        ("synthetic_override_num_frames=9", lambda spec: spec.data.synthetic.frames == 9),
        ("offload_encoders=true", lambda spec: spec.model.offload_encoders is True),
        ("hardware=TPU", lambda spec: spec.hardware == "tpu"),
    ],
)
def test_a_short_name_sets_its_fields(override, value):
    assert value(overridden(override))


def test_run_name_is_the_jobs_name():
    data = apply_overrides(mapping(), ["run_name=mine"])
    assert parse_job(data, "job").metadata.name == "mine"


def test_a_published_repository_says_which_model_it_is():
    for written in ("Wan-AI/Wan2.1-T2V-1.3B-Diffusers", "hf://Wan-AI/Wan2.1-T2V-1.3B-Diffusers"):
        spec = overridden(f"pretrained_model_name_or_path={written}")
        assert (spec.model.name, spec.weights) == ("wan2.1-t2v-1.3b", "hf://Wan-AI/Wan2.1-T2V-1.3B-Diffusers")
    spec = overridden("pretrained_model_name_or_path=gs://bucket/mine")
    assert (spec.model.name, spec.weights) == ("wan2.1-t2v-14b", "gs://bucket/mine")


def test_a_way_to_say_the_batch_replaces_what_the_recipe_says_the_other_way():
    base = apply_overrides(find_recipe("train-wan").job(), ["batch.globalSize=4"])
    assert overridden("per_device_batch_size=1", base=base).layout.global_batch == 32
    assert overridden("batch.global_size=4").layout.global_batch == 4


def test_two_ways_to_say_the_batch_at_once_are_refused():
    with pytest.raises(SpecError, match=r"globalSize 4 and perDevice 0\.5 are both given"):
        overridden("batch.globalSize=4", "batch.perDevice=0.5")


def test_required_text_is_not_null():
    with pytest.raises(SpecError, match=r"override 'run_name=null': metadata\.name cannot be unset"):
        overridden("run_name=null")
    assert overridden("environment.A=null").environment == {"A": "null"}


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("num_slices=2", lambda spec: spec.num_slices == 2),
        ("spec.numSlices=2", lambda spec: spec.num_slices == 2),
        ("training.ema={decay: 0.99}", lambda spec: spec.training.ema.decay == 0.99),
        ("training.ema.decay=0.9", lambda spec: spec.training.ema.decay == 0.9),
        ("training.optimizer.clip_norm=null", lambda spec: spec.training.optimizer.clip_norm is None),
        ("output_dir=null", lambda spec: spec.output_dir is None),
        ("output_dir=", lambda spec: spec.output_dir is None),
        ("model.revision=0123", lambda spec: spec.model.revision == "0123"),
        ("environment.A=no", lambda spec: spec.environment == {"A": "no"}),
        ("environment.XLA_FLAGS=--a=1 --b=2", lambda spec: spec.environment["XLA_FLAGS"] == "--a=1 --b=2"),
        ("sampling.negativePrompt=a: b", lambda spec: spec.sampling.negative_prompt == "a: b"),
        ("sampling.prompts=[a cat, a dog]", lambda spec: spec.sampling.prompts == ("a cat", "a dog")),
        (" num_slices = 2 ", lambda spec: spec.num_slices == 2),
    ],
)
def test_a_path_sets_its_field_by_the_fields_type(override, value):
    base = find_recipe("train-wan").job() | {"metadata": {"name": "job"}}
    if override.startswith("model.revision"):
        base = mapping()
    assert value(overridden(override, base=base))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("ici_fsdp_paralelism=4", "'ici_fsdp_paralelism' names no field; the nearest is ici_fsdp_parallelism"),
        ("learningrate=4", "'learningrate' names no field; the nearest is learning_rate"),
        ("training.optimiser.learningRate=4", "the nearest is training.optimizer.learningRate"),
        ("height", "override 'height' does not read name=value, such as training.steps=1000"),
        ("=3", "override '=3' does not read name=value"),
        ("training.steps=[", "override 'training.steps=[': is not YAML: expected the node content"),
        ("training.ema=&a {decay: *a}", "is not YAML: found unconstructable recursive node"),
        ("height=1080", "video.height 1080 is not a multiple of 16 (VAE stride 8 x patch 2); use 1072 or 1088"),
        ("num_frames=80", "video.frames 80 is not 4k + 1, which wan2.1-t2v-14b's VAE needs; use 77 or 81"),
        ("num_frames=many", "spec.video.frames: input should be a valid integer"),
        ("attention=ring", "attention.kernel 'ring' is not implemented in this version"),
        ("hardware=gpu", "hardware is 'gpu' but slice v5p-64 is 'tpu'"),
    ],
)
def test_a_wrong_override_is_refused_with_the_way_out(override, message):
    with pytest.raises(SpecError) as error:
        overridden(override)
    assert message in str(error.value)


NAMES = st.sampled_from([*SHORT_NAMES, *field_paths(), "no.such", "lr", "environment.A"]) | st.text(max_size=8)
VALUES = st.sampled_from(["1", "0.25", "-1", "null", "[]", "{}", "{a: b}", "[1", "v5p-8", "*a", ".nan", "1e400"])


@given(st.lists(st.tuples(NAMES, VALUES | st.text(max_size=8)), max_size=4))
@settings(max_examples=300)
def test_any_overrides_give_a_valid_job_or_our_error(pairs):
    overrides = [f"{name}={value}" for name, value in pairs]
    data = attempt(apply_overrides, find_recipe("train-wan").job(), overrides)
    assert isinstance(data, dict | SpecError)
    if isinstance(data, dict):
        assert isinstance(attempt(parse_job, data, "job"), DiffusionJob | SpecError)


@pytest.mark.parametrize(
    ("word", "is_one"),
    [
        ("training.steps=3", True),
        ("height=", True),
        ("a red fox", False),
        ("E = mc2", False),
        ("x+y=z", False),
        ("2=2", False),
        ("=", False),
    ],
)
def test_overrides_are_told_from_prompts(word, is_one):
    assert is_override(word) is is_one


def test_loras_may_be_given_as_columns():
    columns = ["lora_model_name_or_path=[hf://a/b, runs/1]", "weight_name=[x.safetensors, null]", "scale=[0.5, 1]"]
    layer = override_layer([*columns, "adapter_name=[ink, dots]", "from_pt=[true, false]", "model.loraMerge=false"])
    assert layer["spec"]["model"] == {
        "lora": [
            {"weights": "hf://a/b", "weightName": "x.safetensors", "scale": 0.5, "name": "ink"},
            {"weights": "runs/1", "scale": 1, "name": "dots"},
        ],
        "loraMerge": False,
    }
    assert override_layer(["lora_model_name_or_path=runs/1"])["spec"]["model"]["lora"] == [{"weights": "runs/1"}]


@pytest.mark.parametrize("columns", [["scale=1"], ["lora_model_name_or_path=[a, b]", "scale=1"]])
def test_columns_of_loras_that_do_not_fit_are_refused(columns):
    with pytest.raises(SpecError, match="LoRAs are given by columns that do not fit"):
        override_layer(columns)

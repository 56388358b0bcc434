import pytest

from mdctl.spec.errors import SpecError
from mdctl.spec.fields import field_paths, find_field, in_yaml_spelling


@pytest.mark.parametrize("path", field_paths())
def test_every_path_leads_to_itself(path):
    assert ".".join(find_field(path).path) == (path if path.startswith("metadata") else f"spec.{path}")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("training.optimizer.learning_rate", "spec.training.optimizer.learningRate"),
        ("spec.num_slices", "spec.numSlices"),
        ("metadata.labels.a.example/b", "metadata.labels.a.example/b"),
        ("environment.A_B", "spec.environment.A_B"),
        ("training.ema.decay", "spec.training.ema.decay"),
    ],
)
def test_paths_are_read_in_either_spelling_and_from_inside_spec(text, path):
    assert ".".join(find_field(text).path) == path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training.optimiser.learningRate", "'training.optimiser' names no field; the nearest is training.optimizer"),
        ("optimizer", "'optimizer' names no field; the nearest is training.optimizer"),
        ("learningRate", "'learningRate' names no field; the nearest is training.optimizer.learningRate"),
        ("video.height.x", "'video.height' is one value and has no field 'x'"),
        ("", "'' names no field"),
        ("spec.", "'spec.' names no field"),
        ("secrets.0.name", "'secrets' is one value"),
    ],
)
def test_a_path_to_no_field_is_refused_with_the_nearest(text, message):
    with pytest.raises(SpecError) as error:
        find_field(text)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("path", "is_text"),
    [
        ("slice", True),
        ("remat", True),
        ("image", True),
        ("queue.name", True),
        ("schedule", None),
        ("training.schedule.name", True),
        ("environment.A", True),
        ("numSlices", False),
        ("model.useEma", False),
        ("sampling.prompts", False),
        ("training.ema", False),
        ("environment", False),
    ],
)
def test_fields_of_text_are_told_from_others(path, is_text):
    if is_text is None:
        with pytest.raises(SpecError):
            find_field(path)
    else:
        assert find_field(path).is_text is is_text


def test_a_mapping_is_spelled_as_yaml_is_and_unknown_names_stay():
    data = {"api_version": "a", "spec": {"num_slices": 2, "training": {"log_every": 1, "no_such": {"log_every": 2}}}}
    assert in_yaml_spelling(data) == {
        "apiVersion": "a",
        "spec": {"numSlices": 2, "training": {"logEvery": 1, "no_such": {"log_every": 2}}},
    }

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mdctl.spec.errors import SpecError
from mdctl.spec.job import DiffusionJob
from mdctl.spec.reading import (
    MAX_BYTES,
    MAX_PROBLEMS,
    dump_job,
    job_yaml,
    parse_job,
    parse_mapping,
    read_job,
    spec_hash,
)
from mdctl.spec.version import VERSION
from tests.spec.jobs import JUNK, attempt, job, mapping, spoilt, valid


def refusal(function, *arguments):
    with pytest.raises(SpecError) as error:
        function(*arguments)
    return str(error.value)


@given(valid())
def test_a_job_reads_back_as_it_was_written(drawn):
    assert parse_job(parse_mapping(job_yaml(drawn), "there"), "there") == drawn
    assert parse_job(dump_job(drawn), "there") == drawn


@given(valid())
def test_equal_specs_have_equal_names(drawn):
    assert spec_hash(parse_job(dump_job(drawn), "there")) == spec_hash(drawn)


def test_the_name_of_a_spec_says_nothing_of_the_job_and_all_of_the_spec():
    first = job()
    renamed = parse_job(mapping() | {"metadata": {"name": "other"}}, "there")
    assert spec_hash(first) == spec_hash(renamed)
    labelled = parse_job(mapping() | {"metadata": {"name": "job", "labels": {"team": "video"}}}, "there")
    assert len({spec_hash(each) for each in (first, labelled, job(numSlices=2))}) == 3
    assert spec_hash(job(slice="v5litepod-16")) == spec_hash(job(slice="v5e-16"))


def test_only_what_differs_from_the_defaults_is_written():
    assert dump_job(job(numSlices=1, remat="none")) == {
        "apiVersion": "mdctl.dev/v1alpha1",
        "kind": "DiffusionJob",
        "metadata": {"name": "job"},
        "spec": {"task": "train", "remat": "none"},
    }


@given(spoilt())
@settings(max_examples=200)
def test_any_mapping_is_a_valid_job_or_our_error(data):
    parsed = attempt(parse_job, data, "there")
    if isinstance(parsed, DiffusionJob):
        assert parse_job(dump_job(parsed), "there") == parsed
    else:
        assert str(parsed).startswith("there:")
        assert len(str(parsed).splitlines()) <= MAX_PROBLEMS + 2


@given(st.dictionaries(st.sampled_from(["apiVersion", "kind", "metadata", "spec", "x"]), JUNK))
def test_anything_under_the_top_fields_is_a_valid_job_or_our_error(data):
    assert isinstance(attempt(parse_job, data, "there"), DiffusionJob | SpecError)


@given(st.text() | JUNK.map(yaml.dump))
@settings(max_examples=300)
def test_any_text_is_a_mapping_or_our_error(text):
    assert isinstance(attempt(parse_mapping, text, "there"), dict | SpecError)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "there: is not YAML: expected the node content, but found '<stream end>' at line 1, column 5"),
        ("spec: {}\nspec: {}", "there: is not YAML: 'spec' stands twice at line 2, column 1"),
        ("a: &a [*a]", "there: is not YAML: found unconstructable recursive node at line 1, column 4"),
        ("a: !!python/object:os.system x", "could not determine a constructor for the tag"),
        ("a: 2026-13-45", "there: is not YAML: month must be in 1..12"),
        ("- a", "there: holds list, not a mapping with apiVersion, kind, metadata and spec"),
        ("", "there: holds NoneType, not a mapping"),
        ("a: 1\n---\nb: 2", "there: is not YAML: but found another document at line 2, column 1"),
        ("[" * 1500, "there: is not YAML: "),
    ],
)
def test_text_that_holds_no_mapping_is_refused_by_its_place(text, message):
    assert message in refusal(parse_mapping, text, "there")


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (mapping(numSlice=2), "spec.numSlice: no such field; did you mean 'numSlices'?"),
        (mapping(qqq=2), "spec.qqq: no such field (there are: task, model, slice"),
        (mapping(training={"optimizer": {"lr": 1}}), "spec.training.optimizer.lr: no such field (there are: name, "),
        ({"spec": {"task": "train"}}, "metadata: is required"),
        (mapping(task="tune"), "spec.task: input should be 'train' or 'generate', not 'tune'"),
        (mapping(**{"a\nb": 1}), "spec.'a\\nb': no such field"),
        (mapping(video=3), "spec.video: should hold fields, not 3"),
        (mapping(batch={"perDevice": float("nan")}), "spec.batch.perDevice: input should be a finite number, not nan"),
        (
            mapping() | {"apiVersion": "batch/v1"},
            "apiVersion: input should be 'mdctl.dev/v1alpha1', not 'batch/v1'",
        ),
        (mapping() | {"kind": "Job"}, "kind: input should be 'DiffusionJob', not 'Job'"),
        (mapping() | {"metadata": {"name": "A"}}, "metadata.name: should be lower-case letters, digits and '-'"),
        (mapping(num_slices=2, numSlices=2), "there: spec.numSlices is given twice"),
    ],
)
def test_a_mistake_is_named_by_the_path_of_its_field(data, line):
    assert line in refusal(parse_job, data, "there")


def test_a_job_of_another_schema_is_refused_by_both_versions_and_not_by_its_fields():
    message = refusal(parse_job, mapping(futureField=1) | {"apiVersion": "mdctl.dev/v1beta9"}, "there")
    assert message == (
        f"there: apiVersion is mdctl.dev/v1beta9, and mdctl {VERSION} reads mdctl.dev/v1alpha1; use an mdctl that "
        "reads mdctl.dev/v1beta9, which in a pod is the one of its image, or write the job as mdctl.dev/v1alpha1"
    )


def test_a_long_value_is_shown_in_short():
    assert len(refusal(parse_job, mapping(video="x" * 10_000), "there")) < 200


def test_no_more_problems_are_shown_than_fit_on_a_screen():
    message = refusal(parse_job, mapping(**{f"field{n}": n for n in range(50)}), "there")
    assert message.splitlines()[-1] == "  ... and 38 more"


def test_a_file_is_read_and_named_in_its_errors(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(job_yaml(job(numSlices=2)))
    assert read_job(path).spec.num_slices == 2
    path.write_text("spec: {}")
    assert refusal(read_job, path).startswith(f"{path}:\n  metadata: is required")


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path):
    assert refusal(read_job, tmp_path / "none.yaml").endswith("none.yaml: cannot be read: No such file or directory")
    assert refusal(read_job, tmp_path).endswith("cannot be read: Is a directory")
    path = tmp_path / "job.yaml"
    path.write_bytes(b"a: \xff")
    assert refusal(read_job, path) == f"{path}: is not UTF-8 text (byte 3)"
    path.write_bytes(b" " * (MAX_BYTES + 1))
    assert "1000001 bytes is too long for a spec" in refusal(read_job, path)

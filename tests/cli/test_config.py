import json
import os

import pytest


def test_settings_are_set_got_shown_and_forgotten(mdctl, folder):
    assert mdctl("config", "get", "queue").out == ""
    assert mdctl("config", "set", "output-dir", "gs://b/runs").code == 0
    assert mdctl("config", "set", "queue", "research").err == f"written to {folder}/config/mdctl/config.yaml\n"
    assert mdctl("config", "get", "outputDir").out == "gs://b/runs\n"
    shown = {each["name"]: each["value"] for each in json.loads(mdctl("config", "show", "-o", "json").out)}
    assert shown == {"image": None, "output_dir": "gs://b/runs", "queue": "research", "namespace": None}
    assert mdctl("config").out == mdctl("config", "show").out
    mdctl("config", "unset", "queue")
    assert (folder / "config/mdctl/config.yaml").read_text() == "outputDir: gs://b/runs\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["set", "queues", "a"], "no setting is called 'queues'; there are: image, output_dir, queue, namespace"),
        (["set", "queue", "A_b"], "queue: should be lower-case letters, digits and '-'"),
        (["set", "output_dir", "hf://org/name"], "outputDir: 'hf://org/name' cannot be written to"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_and_nothing_is_written(mdctl, folder, words, message):
    found = mdctl("config", *words)
    assert found.code == 2
    assert message in found.err
    assert not (folder / "config").exists()


def test_a_file_of_settings_that_is_none_is_named(mdctl, folder):
    path = folder / "config/mdctl/config.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("quue: a\n")
    found = mdctl("render", "train-wan")
    assert (found.code, found.out) == (2, "")
    assert f"error: {path}: quue: no such field; did you mean 'queue'?" in found.err


def test_settings_that_cannot_be_looked_at_are_named(mdctl, folder, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / ("x" * 300)))
    found = mdctl("config")
    assert (found.code, found.out) == (2, "")
    assert "cannot be looked at: File name too long" in found.err


def test_a_write_that_fails_leaves_the_old_settings(mdctl, folder, monkeypatch):
    mdctl("config", "set", "queue", "old")

    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "replace", full)
    found = mdctl("config", "set", "queue", "new")
    assert found.code == 2
    assert "config.yaml: cannot be written: No space left on device" in found.err
    assert mdctl("config", "get", "queue").out == "old\n"
    assert os.listdir(folder / "config/mdctl") == ["config.yaml"]

import subprocess
import sys

import pytest

from mdctl.cli.app import VERBS

HEAVY = ("jax", "flax", "numpy", "optax", "transformers", "orbax", "grain", "kubernetes", "rich", "yaml", "jsonschema")


def imported_by(*words):
    """Return the modules that a process has imported once it has run `mdctl` with these words."""
    program = f"""
import sys
sys.argv = ["mdctl", *{words}]
from mdctl.cli.app import main
try:
    main()
except SystemExit as leaving:
    assert not leaving.code
print(" ".join(sys.modules), file=sys.stderr)
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(found.stderr.splitlines()[-1].split())


def test_help_imports_every_verb_and_nothing_heavy():
    """JAX least of all."""
    modules = imported_by("--help")
    assert not modules & set(HEAVY)
    assert {f"mdctl.cli.{where.partition(':')[0]}" for where in VERBS.values()} <= modules


def test_a_verb_waits_for_no_other():
    modules = imported_by("version")
    assert [name for name in VERBS if f"mdctl.cli.{name}" in modules] == ["version"]


@pytest.mark.parametrize("command", [["render", "train-wan"], ["validate", "job.yaml"], ["slices"]])
def test_no_verb_of_the_control_plane_imports_jax(mdctl, folder, command):
    (folder / "job.yaml").write_text(mdctl("recipes", "show", "train-wan").out)
    assert not imported_by(*command) & {"jax", "flax", "numpy"}


def test_help_lists_the_verbs_and_every_exit_code(mdctl):
    shown = mdctl("--help")
    assert shown.code == 0
    for verb in ("submit", "generate", "render", "recipes", "validate", "slices", "schema", "config", "version"):
        assert f"\n  {verb} " in shown.out
    for code in ("0 done", "2 the request", "3 the job", "75 preempted", "76 another host", "130 interrupted"):
        assert code in " ".join(shown.out.split())


@pytest.mark.parametrize(
    "verb",
    [
        "submit",
        "generate",
        "render",
        "validate",
        "slices",
        "schema",
        "list",
        "status",
        "watch",
        "events",
        "queues",
        "capacity",
        "logs",
        "doctor",
        "recipes show",
        "cluster install",
    ],
)
def test_the_help_of_a_verb_teaches_by_example(mdctl, verb):
    shown = mdctl(*verb.split(), "--help")
    assert f"  mdctl {verb} " in shown.out
    assert shown.code == 0


def test_no_words_are_a_request_for_help(mdctl):
    assert mdctl().out == mdctl("--help").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rendr"], "No such command 'rendr'. Did you mean 'render'?"),
        (["render"], "Missing argument 'RECIPE_OR_FILE'"),
        (["render", "train-wan", "--slise", "v5p-8"], "No such option: --slise"),
        (["submit", "train-wan", "--processes", "0"], "'--processes': Input should be greater than or equal to 1"),
        (["slices", "-o", "xml"], "'xml' is not one of"),
    ],
)
def test_a_word_that_is_none_ends_in_one_message_and_code_2(mdctl, words, message):
    found = mdctl(*words)
    assert found.code == 2
    assert found.out == ""
    assert found.err.startswith("error: ")
    assert message in found.err

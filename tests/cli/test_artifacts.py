"""`mdctl artifacts`, on what real workers wrote."""

import json
import os
import re
import subprocess
import sys
from contextlib import suppress

import pytest

from tests.workers import STEPS


@pytest.fixture
def trained(folder, written):
    """Let the run be one of this folder, by its name."""
    (folder / "outputs").mkdir()
    (folder / "outputs" / "small").symlink_to(written / "trained")
    return written / "trained"


def test_a_job_is_known_by_its_name(mdctl, trained):
    shown = mdctl("artifacts", "small")
    assert (shown.code, shown.err) == (0, "")
    lines = shown.out.splitlines()
    assert lines[0].split() == ["NAME", "KIND", "STEP", "SIZE", "AGE"]
    assert re.fullmatch(rf"checkpoints/{STEPS} +checkpoint +{STEPS} +[0-9.]+ KiB +.*(s|min|h|d)", lines[2])
    assert [line.split()[0] for line in lines[3:]] == [
        "published",
        "metrics.jsonl",
        *(f"attempts/000{n}" for n in (1, 2, 3)),
    ]


def test_a_configured_place_is_looked_at_where_this_folder_has_none(mdctl, folder, written):
    mdctl("config", "set", "output_dir", str(written))
    assert mdctl("artifacts", "generated", "--kind", "video").out.count("samples/000") == 2
    (folder / "outputs" / "generated").mkdir(parents=True)
    found = mdctl("artifacts", "generated")
    assert (found.code, found.err) == (2, "error: outputs/generated: " + NOBODY)


NOBODY = "no job has written there; check the name, or wait until it has begun\n"


def test_a_directory_is_taken_as_it_is(mdctl, written, uploaded, buckets):
    for place in (str(written), uploaded):
        names = mdctl("artifacts", f"{place}/trained", "--kind", "checkpoint", "-o", "name").out.splitlines()
        assert names == [f"{place}/trained/checkpoints/{step}" for step in (STEPS - 5, STEPS)]


def test_programs_get_numbers(mdctl, written):
    found = json.loads(mdctl("artifacts", str(written / "trained"), "--kind", "checkpoint", "-o", "json").out)[-1]
    assert found.keys() == {"name", "kind", "step", "bytes", "files", "modified"}
    assert (found["kind"], found["step"]) == ("checkpoint", STEPS)
    assert found["bytes"] > 100_000
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", found["modified"])


@pytest.mark.parametrize("place", ["written", "uploaded"])
def test_what_is_asked_for_is_copied_with_what_it_is_of(mdctl, folder, request, buckets, place):
    where = request.getfixturevalue(place)
    first = mdctl("artifacts", f"{where}/generated", "--kind", "video", "--copy-to", "videos")
    assert (first.code, first.err) == (0, "")
    assert first.out.splitlines()[:3] == ["name           videos", "files          5", "already there  0"]
    copied = sorted(path.name for path in (folder / "videos").rglob("*") if path.is_file())
    assert [name for name in copied if name.endswith((".json", ".yaml"))] == [
        "0000-waves-on-the-left.json",
        "0001-waves-on-the-right.json",
        "job.yaml",
    ]
    again = json.loads(
        mdctl("artifacts", f"{where}/generated", "--kind", "video", "--copy-to", "videos", "-o", "json").out
    )
    assert (again["files"], again["already there"]) == (5, 5)
    assert mdctl("artifacts", "./videos").out.count("samples/000") == 2


def test_a_checkpoint_that_is_damaged_is_left_out_and_named(mdctl, folder, written):
    mdctl("artifacts", str(written / "trained"), "--copy-to", "copy")
    victim = folder / "copy" / "checkpoints" / str(STEPS) / "params" / "_METADATA"
    victim.write_bytes(victim.read_bytes()[:-1])
    found = mdctl("artifacts", "./copy", "--kind", "checkpoint", "-o", "name")
    assert found.out == f"copy/checkpoints/{STEPS - 5}\n"
    assert f"warning: checkpoints/{STEPS} is damaged and left out: params/_METADATA has " in found.err


def test_a_kind_that_there_is_none_of_is_said(mdctl, written):
    found = mdctl("artifacts", f"{written}/trained", "--kind", "video", "--kind", "image", "--copy-to", "videos")
    assert (found.code, found.out, found.err) == (0, "", f"{written}/trained: no video and no image yet\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nothing"], "error: job 'nothing' has no results in outputs/nothing, and "),
        (["nothing"], "mdctl config set output_dir gs://bucket/folder"),
        (["./nothing"], f"error: nothing: {NOBODY}"),
        (["s3://bucket/run"], "'s3://bucket/run' is neither a folder nor gs://bucket/path"),
        (["gs://nobodys-bucket/run"], "gs://nobodys-bucket/run: there is no such bucket; check its name"),
    ],
)
def test_what_is_not_there_is_one_sentence_with_the_way_out(mdctl, buckets, words, says):
    found = mdctl("artifacts", *words)
    assert (found.code, found.out) == (2, "")
    assert says in found.err
    assert "Traceback" not in found.err


def test_a_kind_that_does_not_exist_is_refused_with_those_that_do(mdctl):
    found = mdctl("artifacts", "small", "--kind", "weights")
    assert found.code == 2
    for kind in ("checkpoint", "video", "image", "metrics", "log"):
        assert kind in found.err


def test_a_person_who_looks_sees_a_bar(written, folder):
    """On a terminal of its own."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-c", "from mdctl.cli.app import main; main()", "artifacts", str(written / "trained")]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        [*command, "--copy-to", "copy"], stderr=theirs, stdout=subprocess.PIPE, env=environment
    ) as run:
        os.close(theirs)
        seen = b""
        with suppress(OSError):  # once nobody has the other end
            while piece := os.read(ours, 1 << 12):
                seen += piece
        os.close(ours)
        assert run.stdout.read().startswith(b"name           copy\n")
    assert run.returncode == 0
    assert b"copying to copy" in seen
    assert b"MiB" in seen


def test_it_imports_no_jax(written, folder):
    program = f"""
import sys
sys.argv = ["mdctl", "artifacts", {str(written / "trained")!r}, "--copy-to", "copy"]
from mdctl.cli.app import main
try:
    main()
except SystemExit as leaving:
    assert not leaving.code
print([name for name in ("jax", "flax", "numpy", "google.cloud.storage", "kubernetes") if name in sys.modules])
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"

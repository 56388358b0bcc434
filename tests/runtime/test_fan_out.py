"""A job of several programs, each of which may be killed at any time: every prompt is there once, as if none was."""

import hashlib
import json
import random
from pathlib import Path

import numpy as np
import pytest
from etils import epath

from mdctl.demo.prepare import write_model
from mdctl.spec.environment import RUN, Place
from mdctl.spec.shard import Shard
from tests.workers import ends, pid_of

ENGINE = """
import sys
from pathlib import Path
from mdctl.local.engine import run_local
from mdctl.spec.reading import read_job
sys.exit(run_local(read_job(Path(sys.argv[1])), write=lambda line: print(line, flush=True)))
"""

MAKER = Path(__file__).parent / "maker.py"

PROMPTS = [f"{colour} waves" for colour in ("red", "green", "blue", "grey", "black", "white", "pale")]

GENERATE = {
    "task": "generate",
    "model": {"name": "wan2.1-t2v-tiny", "initialisation": "random"},
    "video": {"height": 32, "width": 32, "frames": 5},
    "batch": {"globalSize": 1},
    "sampling": {"prompts": PROMPTS, "steps": 2, "guidance": 2},
}


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    clips = np.random.default_rng(0).uniform(-1, 1, (2, 5, 32, 32, 3)).astype(np.float32)
    write_model(folder, clips, PROMPTS)
    return folder


@pytest.fixture
def write(tmp_path, write_job, model):
    """Write the job that generates with so many slices, and return its file."""

    def write(output, slices):
        (tmp_path / f"{slices}").mkdir(exist_ok=True)
        spec = {**GENERATE, "model": GENERATE["model"] | {"weights": str(model)}}
        return write_job(tmp_path / f"{slices}", output, numSlices=slices, **spec)

    return write


@pytest.fixture
def start_shard(start):
    def start_shard(job, index, count, *program):
        place = Place(shard=Shard(index, count))
        return start(*(program or ("-m", "mdctl.runtime")), job, **{RUN: "test"}, **place.environment())

    return start_shard


def lines(output):
    return [json.loads(line) for line in (output / "samples" / "manifest.jsonl").read_text().splitlines()]


def attempts(output, shard):
    """Return the exit codes of a shard's attempts, None for one that left no word."""
    folder = output / "shards" / f"{shard:04d}" / "attempts"
    codes = {path.name: None for path in sorted(folder.iterdir())}
    for path in folder.glob("*/host-*.exit.json"):
        assert path.name == f"host-{shard}.exit.json"
        codes[path.parent.name] = json.loads(path.read_text())["code"]
    return list(codes.values())


def assert_whole(output):
    """Check that each prompt is there once, and nothing else is."""
    names = [path.name for path in (output / "samples").iterdir()]
    records = [json.loads((output / "samples" / name).read_text()) for name in names if name.endswith(".json")]
    assert sorted(record["prompt"] for record in records) == sorted(PROMPTS)
    assert [line["prompt"] for line in lines(output)] == PROMPTS
    assert {line["file"]: line["sha256"] for line in lines(output)} == {r["file"]: r["sha256"] for r in records}
    for line in lines(output):
        assert hashlib.sha256((output / "samples" / line["file"]).read_bytes()).hexdigest() == line["sha256"]
    assert len(names) == 2 * len(PROMPTS) + 1


def test_programs_killed_at_the_worst_moments_end_where_one_that_was_left_alone_ends(
    tmp_path, write, start, start_shard
):
    here = start("-c", ENGINE, write(tmp_path / "alone", 2))
    assert here.end() == 0, "".join(here.said)
    assert {line[:4] for line in here.said} == {"[0] ", "[1] "}
    assert [attempts(tmp_path / "alone", n) for n in range(2)] == [[0], [0]]

    output = epath.Path(tmp_path / "out")
    job = write(output, 3)
    (output / "samples").mkdir(parents=True)
    (output / "samples" / "manifest.jsonl").write_text("of an earlier job\n")
    killed = [start_shard(job, n, 3, MAKER, point) for n, point in enumerate(("file-2", "record-1", "list"))]
    assert [each.end() for each in killed] == [-9, -9, -9]
    assert len(list((output / "samples").glob("*.mp4"))) == 2 + 1 + 2
    assert len(list((output / "samples").glob("*.json"))) == 1 + 1 + 2
    assert not (output / "samples" / "manifest.jsonl").exists()

    again = [start_shard(job, n, 3) for n in range(3)]
    again[0].expect("attempt begins")
    double = start_shard(job, 0, 3)  # such as the pod of a node that was lost and comes back
    assert [each.end() for each in (*again, double)] == [0, 0, 0, 0], "".join(again[0].said)
    assert_whole(output)
    assert lines(output) == lines(tmp_path / "alone")
    assert [attempts(output, n) for n in range(3)] == [[None, 0, 0], [None, 0], [None, 0]]
    assert "attempt begins" in (output / "shards/0002/attempts/0002/host-2.log.jsonl").read_text()


def test_programs_killed_at_random_leave_each_prompt_in_the_bucket_once(bucket, write, start_shard):
    chance = random.Random(3)
    output = epath.Path(bucket) / "out"
    job = write(output, 2)
    for least, most in ((3, 5), (0, 2)):  # lines until the kill: some samples are made, then some or none
        workers = [start_shard(job, n, 2) for n in range(2)]
        for worker in workers:
            pid = pid_of(worker.expect("attempt begins"))
            for _ in range(chance.randint(least, most)):
                worker.expect('"message"')
            worker.process.kill()
            assert ends(pid)
    assert list((output / "samples").glob("*.json"))
    last = [start_shard(job, n, 2) for n in range(2)]
    assert [worker.end() for worker in last] == [0, 0], "".join(last[0].said + last[1].said)
    assert_whole(output)
    assert [len(attempts(output, n)) for n in range(2)] == [3, 3]


def test_a_program_that_is_not_told_its_part_makes_nothing(tmp_path, write, start):
    worker = start("-m", "mdctl.runtime", write(tmp_path / "out", 2))
    assert worker.end() == 2
    (line,) = worker.said
    assert "divides its prompts among 2 programs (2 x cpu-1), the environment among 1; set MDCTL_SHARD" in line
    assert not (tmp_path / "out").exists()

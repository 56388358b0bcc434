import json
from dataclasses import replace

from mdctl.inference.manifest import write_manifest
from mdctl.inference.program import Draw
from mdctl.inference.samples import Encoded, Origin, Wanted, commit_sample
from tests.spec.jobs import job

MADE = Origin(job(task="generate", sampling={"promptsFile": "gs://b/p"}).spec, None, {"shift": 3.0})
PROMPTS = ["a red fox", "ein Käfer", "a hare"]
WANTED = [Wanted(prompt, Draw(7, n), f"{n:04d}-{n}") for n, prompt in enumerate(PROMPTS)]


def make(output, *numbers, made_from=MADE):
    for number in numbers:
        commit_sample(output, WANTED[number], made_from, Encoded(b"%d" % number, ".png"))


def lines(output):
    return [json.loads(line) for line in (output / "samples" / "manifest.jsonl").read_text().splitlines()]


def test_a_line_for_each_prompt_in_their_order_once_all_are_there(output):
    make(output, 2, 0)
    assert write_manifest(output, WANTED, MADE) == 2
    assert not (output / "samples" / "manifest.jsonl").exists()
    make(output, 1)
    assert write_manifest(output, WANTED, MADE) == 3
    assert [(line["number"], line["prompt"], line["seed"]) for line in lines(output)] == [
        (n, prompt, 7) for n, prompt in enumerate(PROMPTS)
    ]
    second = lines(output)[1]
    assert list(second) == ["number", "prompt", "seed", "model", "file", "sha256"]
    assert second["model"] == MADE.spec.model.name
    assert (second["file"], second["sha256"]) == (
        f"0001-1-{Encoded(b'1', '').sha256[:8]}.png",
        Encoded(b"1", "").sha256,
    )


def test_whoever_writes_it_writes_the_same(output):
    make(output, 0, 1, 2)
    write_manifest(output, WANTED, MADE)
    before = (output / "samples" / "manifest.jsonl").read_bytes()
    write_manifest(output, WANTED, MADE)
    assert (output / "samples" / "manifest.jsonl").read_bytes() == before


def test_samples_of_something_else_do_not_count(output):
    make(output, 0, 1)
    make(output, 2, made_from=replace(MADE, settings={"shift": 5.0}))
    assert write_manifest(output, WANTED, MADE) == 2


def test_programs_that_found_other_steps_of_a_run_that_trains_agree_on_the_list(tmp_path, output):
    make(output, 0, 1, made_from=replace(MADE, step=400))
    make(output, 2, made_from=replace(MADE, step=500))
    assert write_manifest(output, WANTED, replace(MADE, step=500)) == 3
    assert [line["step"] for line in lines(output)] == [400, 400, 500]


def test_fewer_prompts_make_a_shorter_list(output):
    make(output, 0, 1, 2)
    write_manifest(output, WANTED, MADE)
    write_manifest(output, WANTED[:2], MADE)
    assert len(lines(output)) == 2

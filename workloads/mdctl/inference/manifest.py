"""The list of what a job made, written once all of it is there.

samples/manifest.jsonl    a line for each prompt, in their order: number, prompt, seed, model, step (of a run's
                          checkpoint), file, sha256

Whoever finds everything there writes it: of several programs the last to finish, or each of those that finish at the
same time, and the same from each, as it says nothing but what the records say. One that was there before something was
found to be lacking is of an earlier job, and is withdrawn.
"""

import json
from collections.abc import Sequence
from dataclasses import replace

from etils import epath

from mdctl.inference.samples import Origin, Record, Wanted, read_records
from mdctl.spec.outputs import MANIFEST, SAMPLES
from mdctl.storage.once import look, swap


def write_manifest(output: epath.Path, wanted: Sequence[Wanted], made_from: Origin) -> int:
    """Write the manifest if every sample is there; return how many are."""
    records = read_records(output, wanted)
    there = sum(is_made(record, each, made_from) for record, each in zip(records, wanted, strict=True))
    if there < len(wanted):
        return there
    path = manifest_file(output)
    content = "".join(line(number, record) for number, record in enumerate(records)).encode()
    found = look(path)
    if found.content != content:
        swap(path, found, content)  # if it is too late, somebody else has written the same
    return there


def manifest_file(output: epath.Path) -> epath.Path:
    """Return where the manifest is."""
    return output / SAMPLES / MANIFEST


def is_made(record: Record, wanted: Wanted, made_from: Origin) -> bool:
    """Say whether a record is of a sample; of a run that is still training each program may have found another step."""
    return replace(made_from, step=record.get("step")).made(record, wanted)


def line(number: int, record: Record) -> str:
    """Return the manifest's line for one sample."""
    entry = {
        "number": number,
        "prompt": record["prompt"],
        "seed": record["seed"],
        "model": record["model"]["name"],
        **({} if record["step"] is None else {"step": record["step"]}),
        "file": record["file"],
        "sha256": record["sha256"],
    }
    return json.dumps(entry, ensure_ascii=False) + "\n"

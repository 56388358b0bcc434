"""The samples that `mdctl generate` wrote, by their prompts."""

import json
from collections.abc import Sequence
from pathlib import Path

from mdctl.spec.errors import DataError
from mdctl.spec.outputs import SAMPLES


def sample_files(run: Path, captions: Sequence[str]) -> dict[str, list[Path]]:
    """Return the samples of each caption in the output of a job, in their order; raises DataError if there is none."""
    files: dict[str, list[Path]] = {caption: [] for caption in captions}
    for path in sorted((run / SAMPLES).glob("*.json")):
        record = json.loads(path.read_text())
        if record["prompt"] in files:
            files[record["prompt"]].append(run / SAMPLES / record["file"])
    if missing := [caption for caption, found in files.items() if not found]:
        raise DataError(f"{run} has no sample of {missing[0]!r}. Run mdctl generate with all captions as its prompts.")
    return files

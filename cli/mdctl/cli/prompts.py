"""Prompts in a file of this computer, which no pod can read: on a cluster they travel in the spec.

Text, that is. JSON lines give prompts seeds of their own, which a spec cannot; their file must be at `gs://`.
"""

from pathlib import Path

from mdctl.spec.errors import DataError


def carried(file: str) -> list[str] | None:
    """Return the prompts of a file, as a worker would read them; None where a worker can, or must, read it itself.

    Raises:
        DataError: it is not here, or is no text, or there are none.
    """
    if "://" in file or file.endswith(".jsonl"):
        return None
    try:
        lines = Path(file).expanduser().read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise DataError(f"--prompts-file {file!r} cannot be read here ({Path.cwd()}): {why}; name another") from None
    prompts = [line.strip() for line in lines if line.strip()]
    if not prompts:
        raise DataError(f"--prompts-file {file!r} holds no prompts; write one a line")
    return prompts

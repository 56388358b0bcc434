"""Files the command line writes: whole or not at all."""

import os
import tempfile
from pathlib import Path

from mdctl.spec.errors import OutputError


def write_file(path: Path, text: str) -> None:
    """Write a file, and its folder where needed, so that a reader finds the old text or the new, never a part.

    Raises:
        OutputError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            new = Path(folder, path.name)
            new.write_text(text, encoding="utf-8")
            os.replace(new, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}; choose another folder, or free this") from None

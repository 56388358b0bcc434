"""Which clips a folder holds, and what is said of each.

The captions stand in `metadata.jsonl` (objects with `file_name` and `text`), in `metadata.csv` (columns of these
names), or, where neither exists, in a file beside each clip: `a/b.mp4` has `a/b.txt`. All is UTF-8. Paths are
relative to the folder, with forward slashes. A list that cannot be read is an error; a clip without a caption has a
fault, unless all of these are given one, and so has a listed clip that does not exist.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from mdctl.data.cache import ALONE, Share
from mdctl.data.files import files_under
from mdctl.data.video import MEDIA
from mdctl.spec.errors import DataError
from mdctl.storage.output import file_errors, reason

JSON_LINES, CSV = "metadata.jsonl", "metadata.csv"
COLUMNS = ("file_name", "text")


@dataclass(frozen=True)
class Listed:
    """A clip by its path in the folder; `caption` is empty where there is a `fault`."""

    name: str
    caption: str = ""
    fault: str | None = None


def listed_clips(folder: Any, share: Share = ALONE, caption: str | None = None) -> list[Listed]:
    """Return the clips of a folder (an `epath.Path`) in the order of their names; raises DataError.

    `caption` is that of every clip without one of its own.
    """
    _check_is_there(folder)
    lists = [name for name in (JSON_LINES, CSV) if (folder / name).exists()]
    if len(lists) > 1:
        raise DataError(f"data set {folder} has both {JSON_LINES} and {CSV}. Keep the one that holds the captions.")
    if lists:
        path = folder / lists[0]
        columns = COLUMNS if caption is None else COLUMNS[:1]
        rows = list(_json_rows(path, columns) if lists[0] == JSON_LINES else _csv_rows(path, columns))
        listed, total = (_listed(folder, path, place, row, caption) for place, row in rows), len(rows)
    else:
        files = [file for file in files_under(folder) if file.suffix.lower() in MEDIA]
        listed, total = (_with_sidecar(folder, file, caption) for file in files), len(files)
    return sorted(share.over("looking for clip", listed, total), key=lambda clip: (clip.name, clip.caption))


def _check_is_there(folder: Any) -> None:
    """Refuse what is no folder, and what may not be looked at: to `is_dir` both are the same at `gs://`."""
    try:
        if folder.is_dir():
            return
        list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        pass
    except file_errors(str(folder)) as error:
        raise DataError(f"data set {folder} cannot be read: {reason(error)}. Allow it, or check data.path.") from error
    raise DataError(f"data set {folder}: there is no such folder. Check data.path.")


def read_text(path: Any) -> str:
    """Return the text of a UTF-8 file, with or without a byte order mark; raises DataError."""
    try:
        text: str = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start} is not UTF-8. Save the file as UTF-8.") from error
    except file_errors(str(path)) as error:
        raise DataError(f"{path} cannot be read: {reason(error)}.") from error
    return text


def json_lines(path: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (line's place, object) of a JSON lines file; raises DataError."""
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}, line {number}: no JSON: {error}.") from error
        if not isinstance(value, dict):
            raise DataError(f"{path}, line {number}: {line.strip()[:80]!r} is not a JSON object.")
        yield f"line {number}", value


def _json_rows(path: Any, required: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for place, row in json_lines(path):
        if missing := [column for column in required if column not in row]:
            raise DataError(f"{path}, {place}: no {missing[0]!r} among {', '.join(map(repr, row)) or 'its keys'}.")
        yield place, row


def _csv_rows(path: Any, required: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        columns = reader.fieldnames or []
        if missing := [column for column in required if column not in columns]:
            found = ", ".join(map(repr, columns)) or "none"
            raise DataError(f"{path}: no column {missing[0]!r}; its first line names {found}. Name file_name and text.")
        for row in reader:
            yield f"line {reader.line_num}", row
    except csv.Error as error:
        raise DataError(f"{path}, after line {reader.line_num}: no CSV: {error}.") from error


def _listed(folder: Any, path: Any, place: str, row: dict[str, Any], caption: str | None) -> Listed:
    name, text = (row.get(column) for column in COLUMNS)
    if not isinstance(name, str) or not name.strip() or PurePosixPath(name).suffix.lower() not in MEDIA:
        raise DataError(f"{path}, {place}: file_name {name!r} names no video or image ({' '.join(sorted(MEDIA))}).")
    if not (folder / name).exists():
        return Listed(name, fault="no such file")
    return _captioned(name, text if isinstance(text, str) else "", f"its text in {path.name} is empty", caption)


def _with_sidecar(folder: Any, file: Any, caption: str | None) -> Listed:
    name, sidecar = file.relative_to(folder).as_posix(), file.with_suffix(".txt")
    if not sidecar.exists():
        return _captioned(name, "", f"{sidecar.name} is missing", caption)
    try:
        return _captioned(name, read_text(sidecar), f"{sidecar.name} is empty", caption)
    except DataError as error:
        return Listed(name, fault=f"no caption: {error}")


def _captioned(name: str, text: str, otherwise: str, caption: str | None) -> Listed:
    said = " ".join((text if text.strip() else caption or "").split())
    if not is_text(said):
        return Listed(name, fault="its caption holds half of a surrogate pair, which is no character")
    return Listed(name, said) if said else Listed(name, fault=f"no caption: {otherwise}")


def is_text(text: str) -> bool:
    """Return whether a string can be written as UTF-8; JSON can spell halves of characters, which cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)

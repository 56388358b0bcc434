"""A line of a worker's log: JSON for machines, words for a person.

{"time": 1.5, "level": "info", "host": 1, "message": "trained", "step": 40, "loss": 0.215}
trained  step 40  loss 0.215
"""

import json
from collections.abc import Mapping
from typing import Any

SHOWN_OTHERWISE = ("time", "level", "host", "logger", "message", "traceback")
"""Fields that are not printed as `name value`."""


def words(line: str) -> str:
    """Return a line as a person reads it, a traceback below it; what is no record of the log stays as it is."""
    record = read_record(line)
    if record is None:
        return line
    fields = {name: value for name, value in record.items() if name not in SHOWN_OTHERWISE}
    text = in_words(str(record.get("level")), record["message"], fields)
    return f"{text}\n{record.get('traceback', '')}".rstrip()


def read_record(line: str) -> dict[str, Any] | None:
    """Return the record in a line; None where it is none."""
    if not line.startswith("{"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if "message" in record else None


def in_words(level: str, message: object, fields: Mapping[str, Any]) -> str:
    """Return a record as one line: `step 40  loss 0.215  learning_rate 0.003`."""
    mark = "" if level == "info" else f"{level}: "
    return "  ".join([f"{mark}{message}", *(f"{name} {_short(value)}" for name, value in fields.items())])


def _short(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_short, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)

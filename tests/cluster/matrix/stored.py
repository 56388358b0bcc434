"""What a server stores of what it was sent: every field as it was, and beside them only known defaults.

`defaults.yaml` has, for each kind, the path of every field that a server or a webhook fills in and the value that it
gives; `...` is any value, such as a time. A path has `[]` for each list that it goes through.
"""

from collections.abc import Iterator
from pathlib import Path

import yaml

ANY = "..."

DEFAULTS = yaml.safe_load(Path(__file__).with_name("defaults.yaml").read_text(encoding="utf-8"))


def surprises(sent, stored):
    """Return what a stored object has otherwise than sent, or more than sent and its defaults."""
    known = DEFAULTS[sent["kind"]]
    return [
        *changes(sent, stored),
        *(
            f"{path}: {value!r} is no known default"
            for path, value in additions(sent, stored)
            if path not in known or known[path] not in (ANY, value)
        ),
    ]


def changes(sent, stored, path="") -> Iterator[str]:
    """Yield the fields that were sent and are not stored as they were."""
    if isinstance(sent, dict) and isinstance(stored, dict):
        for key, value in sent.items():
            if key in stored:
                yield from changes(value, stored[key], _below(path, key))
            else:
                yield f"{_below(path, key)}: {value!r} is not stored"
    elif isinstance(sent, list) and isinstance(stored, list) and len(sent) <= len(stored):
        for one, other in zip(sent, stored, strict=False):
            yield from changes(one, other, f"{path}[]")
    elif sent != stored:
        yield f"{path}: {sent!r} is stored as {stored!r}"


def additions(sent, stored, path="") -> Iterator[tuple[str, object]]:
    """Yield the path and the value of each field that is stored and was not sent."""
    if isinstance(sent, dict) and isinstance(stored, dict):
        for key, value in stored.items():
            if key in sent:
                yield from additions(sent[key], value, _below(path, key))
            else:
                yield _below(path, key), value
    elif isinstance(sent, list) and isinstance(stored, list):
        for one, other in zip(sent, stored, strict=False):
            yield from additions(one, other, f"{path}[]")
        yield from ((f"{path}[]", value) for value in stored[len(sent) :])


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key

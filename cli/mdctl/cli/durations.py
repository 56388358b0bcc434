"""Lengths of time as people write them: `45s`, `10m`, `1h30m`, `2d`."""

import re

import typer

SECONDS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}

_DURATION = re.compile("".join(rf"(?:(?P<{unit}>\d+(?:\.\d+)?){unit})?" for unit in SECONDS))


def seconds(text: str) -> float:
    """Return how many seconds a length of time has."""
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None or not any(match.groups()):
        raise typer.BadParameter(f"{text!r} is no length of time; write one such as 45s, 10m, 1h30m or 2d")
    return sum(float(number) * SECONDS[unit] for unit, number in match.groupdict().items() if number is not None)

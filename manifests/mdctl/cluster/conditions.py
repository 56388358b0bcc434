"""Conditions of objects, and times in them."""

from dataclasses import dataclass
from datetime import datetime

from mdctl.cluster.client import Object


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A condition as controllers write it, and the kind of the object that has it."""

    kind: str
    type: str
    holds: bool
    reason: str
    message: str
    since: datetime | None


def conditions(thing: Object | None) -> list[Condition]:
    """Return the conditions of an object, in its order."""
    if thing is None:
        return []
    return [
        Condition(
            kind=thing.get("kind", ""),
            type=each.get("type", ""),
            holds=each.get("status") == "True",
            reason=each.get("reason") or "",
            message=each.get("message") or "",
            since=moment(each.get("lastTransitionTime")),
        )
        for each in thing.get("status", {}).get("conditions") or ()
    ]


def find_condition(thing: Object | None, type_: str) -> Condition | None:
    """Return a condition of an object, true or not; None where it has none of that type."""
    return next((each for each in conditions(thing) if each.type == type_), None)


def holds(thing: Object | None, type_: str) -> bool:
    """Return whether a condition of an object is true."""
    found = find_condition(thing, type_)
    return found is not None and found.holds


def moment(text: str | None) -> datetime | None:
    """Return the time that an object names; None where it names none."""
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None

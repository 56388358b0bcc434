"""What Kueue said of its last try to admit a job, read from its message: a verdict on each flavour that it tried.

couldn't assign flavors to pod set slice: flavor v5p doesn't match node affinity, insufficient unused quota for ...
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from mdctl.cluster.amounts import noun


class Verdict(StrEnum):
    """Why a flavour did not do."""

    UNCOVERED = "uncovered"
    """The queue has no quota at all of a resource, of whatever flavour."""
    OTHER_NODES = "other nodes"
    """Its nodes have other labels than the pods select, or taints that they do not tolerate."""
    TOO_SMALL = "too small"
    """Its quota is less than the job asks for."""
    FULL = "full"
    """Its quota is used up."""
    NO_DOMAIN = "no domain"
    """No part of its topology has room for the job."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A flavour, and why it did not do."""

    verdict: Verdict
    flavor: str | None = None
    resource: str = ""
    wanted: str = ""
    most: str = ""
    """What its quota is."""
    more: str = ""
    """How much is missing."""
    said: str

    def __str__(self) -> str:
        match self.verdict:
            case Verdict.TOO_SMALL:
                return f"{self.most} {noun(self.resource)} at most"
            case Verdict.FULL:
                return f"{self.more} more {noun(self.resource)} needed"
            case _:
                return self.said


_FLAVOR = r"(?P<flavor>[^\s,;]+)"
_FOR = rf"for (?P<resource>\S+) in flavor {_FLAVOR}"

_FORMS: tuple[tuple[Verdict, str], ...] = (
    (Verdict.UNCOVERED, r"resource (?P<resource>\S+) unavailable in ClusterQueue"),
    (Verdict.OTHER_NODES, rf"flavor {_FLAVOR} doesn't match node affinity"),
    (Verdict.OTHER_NODES, rf"untolerated taint \{{[^}}]*\}} in flavor {_FLAVOR}"),
    (
        Verdict.TOO_SMALL,
        rf"insufficient quota {_FOR}, .*?request \((?P<wanted>[^)]+)\) > maximum capacity \((?P<most>[^)]+)\)",
    ),
    (
        Verdict.TOO_SMALL,
        rf"insufficient quota {_FOR}, request > maximum capacity \((?P<wanted>\S+) > (?P<most>[^)]+)\)",
    ),
    (Verdict.FULL, rf"insufficient unused quota (in cohort )?{_FOR}, (?P<more>\S+) more needed"),
    (Verdict.NO_DOMAIN, r'topology "[^"]+" (allows to fit only|doesn\'t allow to fit)[^,;]*'),
)


def read_verdicts(message: str) -> list[Tried]:
    """Return the verdicts in a message of Kueue, in its order."""
    found = [
        (match.start(), _tried(verdict, match)) for verdict, form in _FORMS for match in re.finditer(form, message)
    ]
    return [tried for _, tried in sorted(found, key=lambda pair: pair[0])]


def preemptions(message: str) -> int:
    """Return how many jobs Kueue is about to stop for this one."""
    match = re.search(r"Pending the preemption of (\d+) workload", message)
    return int(match[1]) if match else 0


def preemptor(message: str) -> str | None:
    """Return the uid of the job for which another was stopped."""
    match = re.search(r"JobUID: ([0-9a-f-]{36})", message)
    return match[1] if match else None


def _tried(verdict: Verdict, match: re.Match[str]) -> Tried:
    return Tried(verdict=verdict, said=match[0].rstrip("."), **match.groupdict(default=""))

"""What may be looked at and what may not: the second is a value that says so, never a failure."""

from collections.abc import Callable
from dataclasses import dataclass

from mdctl.spec.errors import ClusterError


@dataclass(frozen=True, kw_only=True)
class NotReadable:
    """Something that could not be looked at."""

    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.what} ({self.why})"


def look[T](what: str, ask: Callable[[], T]) -> T | NotReadable:
    """Return an answer, or NotReadable where the credentials may not ask, or the cluster does not know the kind.

    Raises:
        ClusterError: the server does not answer, or refuses for another reason.
    """
    try:
        return ask()
    except ClusterError as error:
        if error.status == 403:
            return NotReadable(what=what, why="these credentials may not")
        if error.status == 404:
            return NotReadable(what=what, why="the cluster does not have this kind")
        raise

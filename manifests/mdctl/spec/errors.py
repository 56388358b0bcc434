"""Every error that mdctl raises on purpose.

    MdctlError
    ├── UserError                  exit 2: the request cannot work as written
    │   ├── SpecError              a field, or two fields together, of a DiffusionJob
    │   ├── SliceError             a slice name that names nothing that exists
    │   ├── WeightsError           a repository of weights that does not fit the model
    │   ├── DataError              a data set, clip or prompt file that cannot be used
    │   ├── OutputError            a folder that cannot be written
    │   ├── ResultsError           an output directory that cannot be read
    │   └── ClusterError           a cluster that cannot be reached, or refuses what is asked of it
    ├── WillFailAgain              exit 3: out of memory, NaN, a crash loop
    ├── Preempted                  exit 75: asked to stop, and saved
    └── PeerLost                   exit 76: another host is gone, or nothing moves

Each carries the exit code that `mdctl.runtime` and the CLI leave with; the failure policy of the JobSet reads the
same numbers. A message says what is wrong with both values, where, and the next step.
"""

from typing import ClassVar


class MdctlError(Exception):
    """Base of all errors raised on purpose."""

    exit_code: ClassVar[int] = 1


class UserError(MdctlError):
    """The request cannot work as written; running it again changes nothing."""

    exit_code = 2


class SpecError(UserError):
    """A DiffusionJob, or an override of it, is not valid."""


class SliceError(UserError):
    """A slice name does not name a slice that exists."""


class WeightsError(UserError):
    """A repository of weights does not hold what the model needs."""


class DataError(UserError):
    """A data set, clip, caption or prompt file cannot be used."""


class OutputError(UserError):
    """An output folder cannot be written."""


class ResultsError(UserError):
    """What a job wrote cannot be read."""


class ClusterError(UserError):
    """A cluster cannot be reached, or refuses what is asked of it."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status  # the HTTP status of a refusal


class WillFailAgain(MdctlError):  # noqa: N818 - named for what follows from it
    """The same program would fail the same way: out of memory, NaN, a crash loop."""

    exit_code = 3


class Preempted(MdctlError):  # noqa: N818 - not a fault
    """The job was asked to stop and has saved its state."""

    exit_code = 75


class PeerLost(MdctlError):  # noqa: N818 - not a fault of this host
    """Another host is gone, or no step has finished for too long."""

    exit_code = 76

"""What a job can be waited for to be: here alone, so that the command line need not load the client to name them."""

from enum import StrEnum


class Goal(StrEnum):
    """What a job can be waited for to be."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    OVER = "over"
    SUSPENDED = "suspended"
    DELETED = "deleted"

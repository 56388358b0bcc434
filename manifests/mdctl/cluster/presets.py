"""What queues can be made of: here alone, so that the command line need not load the client to name them."""

from enum import StrEnum


class QueuePreset(StrEnum):
    """How `mdctl cluster install` makes a queue."""

    ACCELERATORS = "accelerators"
    """Quotas of chips and GPUs; a job that asks for cpu or memory is not admitted."""
    EVERYTHING = "everything"
    """Quotas of cpu and memory as well."""
    TOPOLOGY = "topology"
    """Quotas of chips and GPUs, and Kueue places the jobs (`queue.topology`)."""
    NONE = "none"
    """No queue."""

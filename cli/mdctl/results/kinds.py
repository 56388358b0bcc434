"""What an artifact can be."""

from enum import StrEnum


class Kind(StrEnum):
    """What an artifact is."""

    CHECKPOINT = "checkpoint"
    MODEL = "model"
    VIDEO = "video"
    IMAGE = "image"
    METRICS = "metrics"
    LOG = "log"

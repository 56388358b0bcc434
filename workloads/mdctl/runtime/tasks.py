"""The tasks that a spec can name."""

from collections.abc import Mapping

from mdctl.runtime.generate import GENERATE
from mdctl.runtime.task import Task
from mdctl.runtime.train import TRAIN

TASKS: Mapping[str, Task] = {"train": TRAIN, "generate": GENERATE}

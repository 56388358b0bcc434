"""A program of a benchmark: a process that takes a step when it is told to (see `turns`)."""

import os
import subprocess
from pathlib import Path

from mdctl.runtime.supervisor import HUGE_PAGES

HERE = Path(__file__).parent
PEER_PYTHON = Path(os.environ.get("PEER_PYTHON", HERE.parent / ".venv-parity" / "bin" / "python"))


class Program:
    """A process that takes a step when it is told to, and says how long that took."""

    def __init__(self, python: Path, script: str, *arguments: str, platforms: str = "cpu") -> None:
        sharing = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # of a GPU's memory, with the others
        environment = {**HUGE_PAGES, **sharing, **os.environ, "JAX_PLATFORMS": platforms}
        command = [str(python), str(HERE / script), *arguments]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        self._answers, self._orders = self._process.stdout, self._process.stdin
        if self._answers.readline().strip() != "ready":
            raise SystemExit(f"{script} did not start; run `make bench`, which installs what it needs")

    def seconds(self, step: str) -> float:
        """Return how long one step took."""
        print(step, file=self._orders, flush=True)
        return float(self._answers.readline())

    def close(self) -> None:
        """Let the process end, and its memory go."""
        self._orders.close()
        self._process.wait()

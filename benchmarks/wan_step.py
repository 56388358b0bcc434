"""One denoising and one training step of a Wan of about 100M parameters, 9 x 128 x 128: mdctl beside diffusers.

    make bench

Both keep the same weights in float32 and run on the same CPU, in processes of their own that take turns, and with the
same settings of the allocator, those of our workers; what counts is the ratio of the medians. Target: not slower.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from mdctl.runtime.supervisor import HUGE_PAGES

HERE = Path(__file__).parent
PEER_PYTHON = HERE.parent / ".venv-parity" / "bin" / "python"
TURNS = 7


class Program:
    """A process that takes a step when it is told to, and says how long that took."""

    def __init__(self, python: Path, script: str, folder: str) -> None:
        environment = {**HUGE_PAGES, **os.environ, "JAX_PLATFORMS": "cpu"}
        command = [str(python), str(HERE / script), folder]
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


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        peer = Program(PEER_PYTHON, "wan_step_diffusers.py", folder)
        ours = Program(Path(sys.executable), "wan_step_mdctl.py", folder)
        print(f"{'step':10}{'mdctl s':>10}{'diffusers s':>13}{'ratio':>8}")
        for step in ("denoise", "train"):
            pairs = [(ours.seconds(step), peer.seconds(step)) for _ in range(TURNS)]
            mine, theirs = (median(column) for column in zip(*pairs, strict=True))
            print(f"{step:10}{mine:10.3f}{theirs:13.3f}{mine / theirs:8.2f}")


if __name__ == "__main__":
    main()

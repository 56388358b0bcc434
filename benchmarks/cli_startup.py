"""How long a person waits for `mdctl --help` and `mdctl render`, beside importing typer and pydantic alone."""

import os
import sys
from pathlib import Path

from harness import command, leave, measure, report

MDCTL = str(Path(sys.executable).with_name("mdctl"))
LIMITS = {"mdctl --help": 1.5, "mdctl render": 3.0}


def main() -> None:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed is compiled once, for every candidate
    timings = measure(
        {
            "import typer, pydantic": command(sys.executable, "-c", "import typer, pydantic"),
            "mdctl --help": command(MDCTL, "--help"),
            "mdctl render": command(MDCTL, "render", "train-wan", "--slice", "v5p-64"),
        },
        rounds=15,
        warmup=2,
    )
    leave(report("start-up", timings, LIMITS))


if __name__ == "__main__":
    main()

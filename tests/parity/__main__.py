"""Make the reference arrays anew with diffusers and transformers; hold mdctl, and the committed ones, to them."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tests.parity.arrays import DATA, distance
from tests.parity.tolerances import LAYER

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".venv-parity" / "bin" / "python"


def main() -> int:
    """Run every reference; return pytest's exit code, or 1 where a committed array is not what was made."""
    with TemporaryDirectory() as folder:
        scripts = sorted((HERE / "reference").glob("*.py"))
        for script in scripts:
            subprocess.run([PYTHON, script, folder], check=True)
        stale = [script.stem for script in scripts if not _is_current(Path(folder), f"{script.stem}.npz")]
        if stale:
            print(f"committed arrays are not what the references make: {', '.join(stale)}", file=sys.stderr)
            return 1
        round_trip(Path(folder) / "round_trip")
        tests = [str(path) for path in sorted(HERE.parent.rglob("test_parity.py"))]
        environment = {**os.environ, "MDCTL_PARITY_DATA": folder}
        return subprocess.run([sys.executable, "-m", "pytest", *tests], env=environment, check=False).returncode


def round_trip(folder: Path) -> None:
    """Have mdctl load what the libraries save, and the libraries what mdctl saves of it."""
    theirs, ours = HERE / "round_trip" / "theirs.py", HERE / "round_trip" / "ours.py"
    subprocess.run([PYTHON, theirs, "write", folder], check=True)
    subprocess.run([sys.executable, ours, folder], check=True)
    subprocess.run([PYTHON, theirs, "read", folder], check=True)


def _is_current(folder: Path, name: str) -> bool:
    with np.load(folder / name) as made, np.load(DATA / name) as committed:
        if made.keys() != committed.keys():
            print(f"{name}: other arrays")
            return False
        numbers = [key for key in made if np.issubdtype(made[key].dtype, np.number)]
        furthest = max((distance(committed[key], made[key]) for key in numbers), default=0.0)
    print(f"{name}: committed and made anew differ by {furthest:.1e}")
    return furthest < LAYER


if __name__ == "__main__":
    sys.exit(main())

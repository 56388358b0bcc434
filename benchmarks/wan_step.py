"""One denoising and one training step of a Wan of about 100M parameters, 9 x 128 x 128: mdctl beside diffusers.

    make bench

Both keep the same weights in float32 and run on the same CPU, in processes of their own that take turns, and with the
same settings of the allocator, those of our workers; what counts is the ratio of the medians. Target: not slower.
"""

import sys
import tempfile
from pathlib import Path
from statistics import median

from program import PEER_PYTHON, Program

TURNS = 7


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

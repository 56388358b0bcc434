"""Stable Diffusion on a CPU: mdctl beside diffusers, eager and by torch.compile.

    python benchmarks/stable_diffusion.py [sd15] [vae] [train] [sdxl]      (default: all)

sd15    the UNet of 1.5 at full size, one denoising step with guidance at 512 x 512
sdxl    the UNet of XL at full size, likewise; its programs run one after the other, since two copies take 20 GiB
vae     the codec's way from latents to a picture of 512 x 512
train   one training step of a UNet of about 110M parameters at 256 x 256, batch 2

All keep the same random weights in float32 on the same two threads, in processes of their own that take turns; what
counts are the ratios of the medians. Target: not slower than eager, at most 1.5 times the better of the two.
"""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from program import PEER_PYTHON, Program

CASES = ("sd15", "vae", "train", "sdxl")
APART = ("sdxl",)
TURNS = 5
SIDES: Mapping[str, tuple[Path, str, tuple[str, ...]]] = {
    "eager": (PEER_PYTHON, "stable_diffusion_diffusers.py", ("eager",)),
    "compiled": (PEER_PYTHON, "stable_diffusion_diffusers.py", ("compiled",)),
    "mdctl": (Path(sys.executable), "stable_diffusion_mdctl.py", ()),
}
"""Who takes part: the first writes the model that all load."""


def main(cases: list[str]) -> None:
    print(f"{'case':8}{'mdctl s':>10}{'eager s':>10}{'compiled s':>12}{'to eager':>10}{'to better':>11}")
    for case in cases or CASES:
        with tempfile.TemporaryDirectory() as folder:
            taken = times(case, folder)
        mine, *peers = [median(taken[side]) for side in ("mdctl", "eager", "compiled")]
        print(f"{case:8}{mine:10.2f}{peers[0]:10.2f}{peers[1]:12.2f}{mine / peers[0]:10.2f}{mine / min(peers):11.2f}")


def times(case: str, folder: str) -> dict[str, list[float]]:
    """Return the seconds of each side's steps: in turns, or where memory is short one side after the other."""
    if case in APART:
        return {side: _alone(side, case, folder) for side in SIDES}
    programs = {side: _start(side, case, folder) for side in SIDES}
    taken: dict[str, list[float]] = {side: [] for side in SIDES}
    for _ in range(TURNS):
        for side, program in programs.items():
            taken[side].append(program.seconds(case))
    for program in programs.values():
        program.close()
    return taken


def _alone(side: str, case: str, folder: str) -> list[float]:
    program = _start(side, case, folder)
    taken = [program.seconds(case) for _ in range(TURNS)]
    program.close()
    return taken


def _start(side: str, case: str, folder: str) -> Program:
    python, script, more = SIDES[side]
    return Program(python, script, folder, case, *more)


if __name__ == "__main__":
    main(sys.argv[1:])

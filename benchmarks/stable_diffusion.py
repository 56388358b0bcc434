"""Stable Diffusion on a CPU or a GPU: mdctl beside diffusers, eager and by torch.compile.

    python benchmarks/stable_diffusion.py [--gpu] [sd15] [vae] [train] [sdxl]      (default: all)

sd15    the UNet of 1.5 at full size, one denoising step with guidance at 512 x 512
sdxl    the UNet of XL at full size, likewise; its programs run one after the other, since two copies take 20 GiB
vae     the codec's way from latents to a picture of 512 x 512
train   one training step of a UNet of about 110M parameters at 256 x 256, batch 2

All keep the same random weights in float32 on the same two threads, in processes of their own that take turns; what
counts are the ratios of the medians. Target: not slower than eager, at most 1.5 times the better of the two.

With --gpu all are on one GPU, in bfloat16, at 512 x 512 and SDXL at 1024 x 1024, four pictures each with guidance and
eight in training; mdctl attends by cuDNN, diffusers by torch's scaled_dot_product_attention. One python may run all of
them: PEER_PYTHON names another one.
"""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from program import PEER_PYTHON, Program

CASES = {"cpu": ("sd15", "vae", "train", "sdxl"), "gpu": ("sd15", "train", "sdxl")}
APART = {"cpu": ("sdxl",), "gpu": ()}
TURNS = 3
SIDES: Mapping[str, tuple[Path, str, tuple[str, ...]]] = {
    "eager": (PEER_PYTHON, "stable_diffusion_diffusers.py", ("eager",)),
    "compiled": (PEER_PYTHON, "stable_diffusion_diffusers.py", ("compiled",)),
    "mdctl": (Path(sys.executable), "stable_diffusion_mdctl.py", ()),
}
"""Who takes part: the first writes the model that all load."""
PLATFORMS = {"cpu": "cpu", "gpu": "cuda,cpu"}


def main(arguments: list[str]) -> None:
    where = "gpu" if "--gpu" in arguments else "cpu"
    cases = [argument for argument in arguments if argument != "--gpu"]
    print(f"{'case':8}{'mdctl s':>10}{'eager s':>10}{'compiled s':>12}{'to eager':>10}{'to better':>11}", flush=True)
    for case in cases or CASES[where]:
        with tempfile.TemporaryDirectory() as folder:
            taken = times(case, where, folder)
        mine, *peers = [median(taken[side]) for side in ("mdctl", "eager", "compiled")]
        ratios = f"{mine / peers[0]:10.2f}{mine / min(peers):11.2f}"
        print(f"{case:8}{mine:10.3f}{peers[0]:10.3f}{peers[1]:12.3f}{ratios}", flush=True)


def times(case: str, where: str, folder: str) -> dict[str, list[float]]:
    """Return the seconds of each side's steps: in turns, or where memory is short one side after the other."""
    if case in APART[where]:
        return {side: _alone(side, case, where, folder) for side in SIDES}
    programs = {side: _start(side, case, where, folder) for side in SIDES}
    taken: dict[str, list[float]] = {side: [] for side in SIDES}
    for _ in range(TURNS):
        for side, program in programs.items():
            taken[side].append(program.seconds(case))
    for program in programs.values():
        program.close()
    return taken


def _alone(side: str, case: str, where: str, folder: str) -> list[float]:
    program = _start(side, case, where, folder)
    taken = [program.seconds(case) for _ in range(TURNS)]
    program.close()
    return taken


def _start(side: str, case: str, where: str, folder: str) -> Program:
    python, script, more = SIDES[side]
    return Program(python, script, folder, case, *more, where, platforms=PLATFORMS[where])


if __name__ == "__main__":
    main(sys.argv[1:])

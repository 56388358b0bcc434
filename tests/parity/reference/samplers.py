"""Run diffusers' flow-matching schedulers around a fixed affine "network", over whole loops.

network(x, t) = x W + (t / 1000) c
"""

import sys
from pathlib import Path

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler

STEPS = (1, 2, 3, 10, 33, 50)
SHIFTS = (1.0, 3.0, 5.0, 8.3)
WIDTH = 6


def scheduler(name: str, shift: float) -> UniPCMultistepScheduler | FlowMatchEulerDiscreteScheduler:
    """Return the scheduler as Wan's repositories configure it."""
    if name == "unipc":
        return UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift)
    return FlowMatchEulerDiscreteScheduler(shift=shift)


def run(name: str, num_steps: int, shift: float, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return times, sigmas and every point of one loop."""
    loop = scheduler(name, shift)
    loop.set_timesteps(num_steps)
    matrix, slope, x = (torch.from_numpy(arrays[key]) for key in ("matrix", "slope", "noise"))
    points = []
    for time in loop.timesteps:
        x = loop.step(x @ matrix + time / 1000 * slope, time, x).prev_sample
        points.append(x.numpy())
    return {"times": loop.timesteps.numpy(), "sigmas": loop.sigmas.numpy(), "points": np.stack(points)}


def main(folder: Path) -> None:
    """Write samplers.npz."""
    rng = np.random.default_rng(0)
    arrays = {
        "matrix": rng.normal(0, WIDTH**-0.5, (WIDTH, WIDTH)).astype(np.float32),
        "slope": rng.normal(size=WIDTH).astype(np.float32),
        "noise": rng.normal(size=(3, WIDTH)).astype(np.float32),
    }
    arrays |= {
        f"{name}/{num_steps}/{shift}/{key}": value
        for name in ("unipc", "euler")
        for num_steps in STEPS
        for shift in SHIFTS
        for key, value in run(name, num_steps, shift, arrays).items()
    }
    np.savez_compressed(folder / "samplers.npz", allow_pickle=False, **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Run diffusers' schedulers around a fixed affine "network", over whole loops.

network(x, t) = x W + (t / 1000) c
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch

STEPS = (1, 2, 3, 10, 33, 50)
SHIFTS = (1.0, 3.0, 5.0, 8.3)
WIDTH = 6
DRAWS = 24


FLOW = {
    "unipc": (diffusers.UniPCMultistepScheduler, {"prediction_type": "flow_prediction", "use_flow_sigmas": True}),
    "dpm++2m": (diffusers.DPMSolverMultistepScheduler, {"prediction_type": "flow_prediction", "use_flow_sigmas": True}),
    "euler": (diffusers.FlowMatchEulerDiscreteScheduler, {}),
}

VARIANCE_PRESERVING: dict[str, Any] = {
    "ddim": (diffusers.DDIMScheduler, {"clip_sample": False}),
    "ddpm": (diffusers.DDPMScheduler, {"clip_sample": False}),
    "pndm": (diffusers.PNDMScheduler, {"skip_prk_steps": True}),
    "euler": (diffusers.EulerDiscreteScheduler, {}),
    "euler-ancestral": (diffusers.EulerAncestralDiscreteScheduler, {}),
    "lms": (diffusers.LMSDiscreteScheduler, {}),
    "dpm++2m": (diffusers.DPMSolverMultistepScheduler, {}),
    "dpm++2m-karras": (diffusers.DPMSolverMultistepScheduler, {"use_karras_sigmas": True}),
    "unipc": (diffusers.UniPCMultistepScheduler, {}),
    "lcm": (diffusers.LCMScheduler, {"clip_sample": False}),
}
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
WITHOUT_SAMPLE = ("pndm", "euler-ancestral", "lms")
"""Refuse to predict the sample."""
ZERO_TERMINAL_SNR = ("ddim", "ddpm", "euler", "euler-ancestral", "dpm++2m", "unipc")
ENDS_IN_DATA = ("ddim", "pndm")


def variance_preserving() -> Iterator[tuple[str, dict[str, Any], int]]:
    """Yield name, configuration and number of steps of every loop."""
    for name, (_, fixed) in VARIANCE_PRESERVING.items():
        for prediction in ("epsilon", "v_prediction", "sample"):
            if name not in WITHOUT_SAMPLE or prediction != "sample":
                config = {**BETAS, **fixed, "prediction_type": prediction, "timestep_spacing": "leading"}
                yield from ((name, config | offset(name, config), steps) for steps in (1, 2, 3, 4, 8, 20))
        for spacing in ("linspace", "trailing"):
            if name not in ("lcm", "pndm", "dpm++2m-karras"):
                yield from ((name, {**BETAS, **fixed, "timestep_spacing": spacing}, steps) for steps in (4, 7))
        for kind in ("linear", "squaredcos_cap_v2"):
            if (name, kind) != ("dpm++2m-karras", "squaredcos_cap_v2"):  # its first two times are one: it skips a step
                config = {**BETAS, **fixed, "beta_schedule": kind}
                yield name, config | offset(name, config), 6
        if name in ZERO_TERMINAL_SNR:
            zero = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "prediction_type": "v_prediction"}
            yield name, {**BETAS, **fixed, **zero}, 8
        if name in ENDS_IN_DATA:
            yield name, {**BETAS, **fixed, "set_alpha_to_one": True, "steps_offset": 0}, 8


def offset(name: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return the offset of steps that Stable Diffusion's repositories have."""
    stepped = {"set_alpha_to_one": False} if name in ENDS_IN_DATA else {}
    return stepped if name == "lcm" else {"steps_offset": 1, **stepped}


class Drawn:
    """The noise that schedulers ask for, from a table."""

    def __init__(self, table: np.ndarray) -> None:
        self.rows = iter(torch.from_numpy(table))

    def __call__(self, *arguments: Any, **more: Any) -> torch.Tensor:
        return next(self.rows)


def run_variance_preserving(
    name: str, config: dict[str, Any], num_steps: int, arrays: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return times, what the network saw after each step, and the sample."""
    kind, _ = VARIANCE_PRESERVING[name]
    loop = kind(**config)
    loop.set_timesteps(num_steps)
    sys.modules[kind.__module__].randn_tensor = Drawn(arrays["drawn"])  # type: ignore[attr-defined]
    matrix, slope, x = (torch.from_numpy(arrays[key]) for key in ("matrix", "slope", "noise"))
    x, seen = x * loop.init_noise_sigma, []
    for time in loop.timesteps:
        seen.append(loop.scale_model_input(x, time))
        x = loop.step(seen[-1] @ matrix + time / 1000 * slope, time, x, return_dict=False)[0]
    points = [point.numpy() for point in (*seen[1:], x)]
    return {"times": np.float32(loop.timesteps.numpy()), "points": np.stack(points)}


def run(name: str, num_steps: int, shift: float, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return times, sigmas and every point of one loop."""
    kind, config = FLOW[name]
    loop = kind(**config, **{"shift" if name == "euler" else "flow_shift": shift})
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
        "drawn": rng.normal(size=(DRAWS, 3, WIDTH)).astype(np.float32),
    }
    arrays |= {
        f"{name}/{num_steps}/{shift}/{key}": value
        for name in FLOW
        for num_steps in STEPS
        for shift in SHIFTS
        for key, value in run(name, num_steps, shift, arrays).items()
    }
    for name, config, num_steps in variance_preserving():
        found = run_variance_preserving(name, config, num_steps, arrays)
        arrays |= {f"vp/{name}/{num_steps}/{json.dumps(config)}/{key}": value for key, value in found.items()}
    np.savez_compressed(folder / "samplers.npz", allow_pickle=False, **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

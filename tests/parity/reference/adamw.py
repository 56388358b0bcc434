"""Train a small network for 20 steps with torch's AdamW: clipped, some parameters decaying and some not, averaged.

prediction = tanh(x kernel_in + bias_in) kernel_out + bias_out
"""

import sys
from pathlib import Path

import numpy as np
import torch

STEPS = 20
CLIP_NORM = 1.45
EMA_DECAY = 0.5
PEAK = 3e-2
SIZES = {"kernel_in": (6, 16), "bias_in": (16,), "kernel_out": (16, 4), "bias_out": (4,)}


def learning_rate(step: int) -> float:
    """Return a warm-up of 4 steps and a cosine from the peak to a tenth of it at the last step."""
    if step < 4:
        return PEAK * (step + 1) / 5
    progress = (step - 4) / (STEPS - 1 - 4)
    return float(PEAK * (0.1 + 0.9 * (1 + np.cos(np.pi * progress)) / 2))


def main(folder: Path) -> None:
    """Write adamw.npz."""
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(0, size[0] ** -0.5, size).astype(np.float32) for name, size in SIZES.items()}
    arrays["x"] = rng.normal(size=(STEPS, 8, 6)).astype(np.float32)
    arrays["y"] = rng.normal(size=(STEPS, 8, 4)).astype(np.float32)

    params = {name: torch.nn.Parameter(torch.from_numpy(arrays[name].copy())) for name in SIZES}
    average = {name: value.detach().clone() for name, value in params.items()}
    groups = [
        {"params": [value for name, value in params.items() if name.startswith("kernel")], "weight_decay": 0.1},
        {"params": [value for name, value in params.items() if name.startswith("bias")], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=PEAK, betas=(0.9, 0.95), eps=1e-8)
    norms = []
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        x, y = torch.from_numpy(arrays["x"][step]), torch.from_numpy(arrays["y"][step])
        hidden = torch.tanh(x @ params["kernel_in"] + params["bias_in"])
        loss = ((hidden @ params["kernel_out"] + params["bias_out"] - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(params.values(), CLIP_NORM)))
        optimizer.step()
        decay = min(EMA_DECAY, (1 + step) / (10 + step))
        for name, value in params.items():
            average[name] = decay * average[name] + (1 - decay) * value.detach()
    for name, value in params.items():
        arrays[f"params/{name}"] = value.detach().numpy()
        arrays[f"ema/{name}"] = average[name].numpy()
        moments = optimizer.state[value]
        arrays[f"mu/{name}"], arrays[f"nu/{name}"] = moments["exp_avg"].numpy(), moments["exp_avg_sq"].numpy()
    arrays["norms"] = np.array(norms)
    np.savez_compressed(folder / "adamw.npz", allow_pickle=False, **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

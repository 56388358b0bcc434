"""The peer of benchmarks/wan_step.py: one step of diffusers' Wan on torch, at each line read from stdin.

    python benchmarks/wan_step_diffusers.py FOLDER

writes a model of about 100M parameters to FOLDER, says "ready", and then answers "denoise" or "train" with seconds.
"""

import sys
from pathlib import Path

import torch
from diffusers import WanTransformer3DModel
from turns import answer

SIZES = {"num_attention_heads": 12, "attention_head_dim": 64, "ffn_dim": 3072, "num_layers": 10, "text_dim": 512}
LATENTS = (1, 16, 3, 16, 16)  # 9 frames of 128 x 128
TEXT = (1, 512, 512)


def main(folder: Path) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(2)
    model = WanTransformer3DModel(**SIZES, freq_dim=256, qk_norm="rms_norm_across_heads", cross_attn_norm=True)
    model.save_pretrained(folder)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01)
    latents, noise, text = torch.randn(LATENTS), torch.randn(LATENTS), torch.randn(TEXT)
    time_B = torch.full((1,), 500.0)

    @torch.no_grad()
    def denoise() -> None:
        model(latents, time_B, text).sample.sum().item()

    def train() -> None:
        optimizer.zero_grad(set_to_none=True)
        prediction = model((latents + noise) / 2, time_B, text).sample
        torch.nn.functional.mse_loss(prediction, noise - latents).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    answer({"denoise": denoise, "train": train})


if __name__ == "__main__":
    main(Path(sys.argv[1]))

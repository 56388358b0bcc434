"""The peer of benchmarks/stable_diffusion.py: one step of diffusers on torch, at each line read from stdin.

    python benchmarks/stable_diffusion_diffusers.py FOLDER CASE eager|compiled [cpu|gpu]

writes the model to FOLDER if it is not there, or loads it, says "ready", and then answers the case's name with seconds.
Everything is float32 on a CPU; on a GPU what is not trained is bfloat16, and training runs under autocast to it.
"""

import sys
from contextlib import nullcontext
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from stable_diffusion_sizes import BATCH, SIDES
from turns import answer

SD15 = {"sample_size": 64, "cross_attention_dim": 768}
SDXL = {
    "sample_size": 128,
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
MIDDLE = {"sample_size": 32, "block_out_channels": (128, 256, 384, 384), "cross_attention_dim": 768}
VAE = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "sample_size": 512,
}
MODELS = {
    "sd15": (UNet2DConditionModel, SD15),
    "sdxl": (UNet2DConditionModel, SDXL),
    "train": (UNet2DConditionModel, MIDDLE),
    "vae": (AutoencoderKL, VAE),
}


def main(folder: Path, case: str, how: str, where: str = "cpu") -> None:
    torch.manual_seed(0)
    torch.set_num_threads(2)
    batch, side = 1 if case == "vae" else BATCH[where], SIDES[where][case]
    device = "cuda" if where == "gpu" else "cpu"
    dtype = torch.bfloat16 if where == "gpu" and case != "train" else torch.float32
    kind, config = MODELS[case]
    if (folder / "config.json").exists():
        model = kind.from_pretrained(folder)
    else:
        model = kind(**config)
        model.save_pretrained(folder)
    model.to(device, dtype)
    run = model.decode if case == "vae" else model
    if how == "compiled":
        run = torch.compile(run)
    placed = {"device": device, "dtype": dtype}
    latents = torch.randn(batch, 4, side, side, **placed)
    noise, time_B = torch.randn_like(latents), torch.full((batch,), 500.0, device=device)
    text = [] if case == "vae" else [time_B, torch.randn(batch, 77, model.config.cross_attention_dim, **placed)]
    added = {"text_embeds": torch.randn(batch, 1280, **placed), "time_ids": torch.full((batch, 6), 512.0, **placed)}
    more = {"added_cond_kwargs": added} if case == "sdxl" else {}

    @torch.no_grad()
    def forward() -> None:
        run(latents, *text, **more).sample.sum().item()

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01) if case == "train" else None

    def train() -> None:
        assert optimizer is not None
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16) if where == "gpu" else nullcontext():
            prediction = run((latents + noise) / 2, *text).sample
        torch.nn.functional.mse_loss(prediction.float(), noise).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        latents.sum().item()

    answer({case: train if case == "train" else forward})


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])

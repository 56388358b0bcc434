"""Run diffusers' Wan pipeline, every parameter drawn anew, from prompts and given latents to pixels.

Ten steps with guidance, by each of the schedulers; what it needs of a repository is kept as JSON.
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from diffusers import (
    AutoencoderKLWan,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.parity.redraw import redraw

PROMPTS = ["a grey rabbit climbs out of its burrow", "the white roof of a van,  seen from above"]
NEGATIVE = "blurry"
GUIDANCE = 5.0
SHIFT = 3.0
STEPS = 10
LATENTS = (2, 2, 4, 6)  # batch, frames, height, width
CHANNELS = 4
TEXT_WIDTH = 24

TRANSFORMER = {
    "num_attention_heads": 3,
    "attention_head_dim": 16,
    "in_channels": CHANNELS,
    "out_channels": CHANNELS,
    "text_dim": TEXT_WIDTH,
    "freq_dim": 32,
    "ffn_dim": 80,
    "num_layers": 2,
}
VAE = {
    "base_dim": 8,
    "num_res_blocks": 1,
    "z_dim": CHANNELS,
    "latents_mean": [0.1, -0.2, 0.3, -0.4],
    "latents_std": [1.5, 0.8, 1.2, 1.0],
}
UMT5: dict[str, Any] = {"d_model": TEXT_WIDTH, "d_kv": 8, "d_ff": 40, "num_layers": 2, "num_heads": 3}


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Return a Unigram tokenizer of letters and a few pairs of them, which ends prompts as UMT5's does."""
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    letters = [(letter, -4.0) for letter in "abcdefghijklmnopqrstuvwxyz,\u2581"]
    pairs = [(pair, -5.0) for pair in ("ra", "bb", "it", "th", "of", "\u2581a", "\u2581the")]
    tokenizer = Tokenizer(models.Unigram(special + letters + pairs, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


def drawn(model: torch.nn.Module, seed: int) -> tuple[torch.nn.Module, dict[str, list[int]]]:
    """Draw a model's parameters; return its shapes too."""
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    values = redraw(shapes, seed=seed)
    if "encoder.embed_tokens.weight" in values:
        values["encoder.embed_tokens.weight"] = values["shared.weight"]
    model.load_state_dict({name: torch.from_numpy(value) for name, value in values.items()})
    return model.eval(), shapes


def as_texts(parts: dict[str, tuple[torch.nn.Module, dict[str, list[int]]]]) -> dict[str, str]:
    """Return the tokenizer's files, and of each part its configuration and shapes, by path in a repository."""
    with TemporaryDirectory() as folder:
        make_tokenizer().save_pretrained(folder)
        texts = {f"tokenizer/{path.name}": path.read_text() for path in Path(folder).iterdir()}
    for part, (model, shapes) in parts.items():
        config = model.config.to_dict() if part == "text_encoder" else dict(model.config)
        texts |= {f"{part}/config.json": json.dumps(config), f"{part}/shapes": json.dumps(shapes)}
    return texts


@torch.no_grad()
def main(folder: Path) -> None:
    """Write sampling_loop.npz."""
    tokenizer = make_tokenizer()
    umt5 = UMT5Config(vocab_size=len(tokenizer), architectures=["UMT5EncoderModel"], **UMT5)
    parts = {
        "text_encoder": drawn(UMT5EncoderModel._from_config(umt5, attn_implementation="eager"), 1),
        "vae": drawn(AutoencoderKLWan(**VAE), 2),
        "transformer": drawn(WanTransformer3DModel(**TRANSFORMER), 3),
    }
    modules = {part: model for part, (model, _) in parts.items()}
    schedulers = {
        "unipc": UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=SHIFT),
        "dpm++2m": DPMSolverMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=SHIFT
        ),
        "euler": FlowMatchEulerDiscreteScheduler(shift=SHIFT),
    }
    _, frames, height, width = LATENTS
    noise = np.random.default_rng(4).normal(size=(*LATENTS, CHANNELS)).astype(np.float32)
    request = {
        "prompt": PROMPTS,
        "negative_prompt": NEGATIVE,
        "height": 8 * height,
        "width": 8 * width,
        "num_frames": 4 * (frames - 1) + 1,
        "num_inference_steps": STEPS,
        "guidance_scale": GUIDANCE,
        "latents": torch.from_numpy(noise).movedim(-1, 1).contiguous(),
    }
    arrays: dict[str, Any] = {"noise": noise, **as_texts(parts)}
    for name, scheduler in schedulers.items():
        pipeline = WanPipeline(tokenizer=tokenizer, scheduler=scheduler, **modules)
        pipeline.set_progress_bar_config(disable=True)
        latents = pipeline(**request, output_type="latent").frames
        arrays[f"{name}/latents"] = np.ascontiguousarray(latents.movedim(1, -1).numpy())
        arrays[f"{name}/scheduler"] = json.dumps(dict(scheduler.config))
        if name == "unipc":
            arrays["pixels"] = np.float32(pipeline(**request, output_type="np").frames)
    arrays |= {"request": json.dumps({key: value for key, value in request.items() if key != "latents"})}
    np.savez_compressed(folder / "sampling_loop.npz", allow_pickle=False, **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Run diffusers' pipelines of Stable Diffusion 1, 2 and XL, every parameter drawn anew, from prompts to pixels.

From noise by each scheduler that draws none, from a picture, and with a mask; what is needed of a repository is kept as
text.
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    LMSDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
    UniPCMultistepScheduler,
)
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, PreTrainedTokenizerFast

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.parity.redraw import redraw

PROMPTS = ["a grey rabbit climbs out of its burrow", "the white roof of a van"]
NEGATIVE = "blurry"
STEPS = 10
BATCH, SIDE, CHANNELS, SCALE = 2, 8, 4, 4
TOKENS = 20
WIDTHS = (24, 16)

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
PUBLISHED = {**BETAS, "steps_offset": 1}
SCHEDULERS = {
    "pndm": PNDMScheduler(**PUBLISHED, skip_prk_steps=True, set_alpha_to_one=False),
    "ddim": DDIMScheduler(**PUBLISHED, clip_sample=False, set_alpha_to_one=False),
    "euler": EulerDiscreteScheduler(**PUBLISHED, timestep_spacing="leading"),
    "lms": LMSDiscreteScheduler(**PUBLISHED),
    "dpm++2m": DPMSolverMultistepScheduler(**PUBLISHED),
    "dpm++2m-karras": DPMSolverMultistepScheduler(**PUBLISHED, use_karras_sigmas=True),
    "unipc": UniPCMultistepScheduler(**PUBLISHED),
}
# To noise alone, and from there.
ZERO_SNR = DDIMScheduler(
    **PUBLISHED,
    clip_sample=False,
    prediction_type="v_prediction",
    rescale_betas_zero_snr=True,
    timestep_spacing="trailing",
)

UNET = {
    "sample_size": SIDE,
    "norm_num_groups": 4,
    "block_out_channels": (8, 16),
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "layers_per_block": 1,
    "attention_head_dim": 2,
    "cross_attention_dim": WIDTHS[0],
}
LINEAR = {"use_linear_projection": True, "attention_head_dim": (2, 4)}
UNETS: dict[str, dict[str, Any]] = {
    "sd1": UNET,
    "sd2": {**UNET, **LINEAR, "upcast_attention": True},
    "sdxl": {
        **UNET,
        **LINEAR,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2),
        "cross_attention_dim": sum(WIDTHS),
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 6,
        "projection_class_embeddings_input_dim": 10 + 6 * 6,
    },
}
VAE = {
    "block_out_channels": (8, 8, 16),
    "down_block_types": ("DownEncoderBlock2D",) * 3,
    "up_block_types": ("UpDecoderBlock2D",) * 3,
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "scaling_factor": 0.18215,
    "sample_size": SIDE * SCALE,
}
TEXT: dict[str, Any] = {
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": TOKENS,
}

PLAIN = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}

Arrays = dict[str, Any]
Modules = dict[str, Any]
Request = dict[str, Any]


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer of letters that begins and ends prompts as CLIP's does, and pads them with its end."""
    letters = [*"abcdefghijklmnopqrstuvwxyz"]
    special = ["<|startoftext|>", "<|endoftext|>"]
    tokens = [*letters, *(letter + "</w>" for letter in letters), *special]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    bpe = models.BPE(vocabulary, [], unk_token=special[1], end_of_word_suffix="</w>")
    tokenizer = Tokenizer(bpe)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    begin, end = ((token, vocabulary[token]) for token in special)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{special[0]} $A {special[1]}", special_tokens=[begin, end]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=special[0],
        eos_token=special[1],
        pad_token=special[1],
        unk_token=special[1],
        model_max_length=TOKENS,
    )


def drawn(model: torch.nn.Module, seed: int) -> tuple[torch.nn.Module, dict[str, list[int]]]:
    """Draw a model's parameters; return its shapes too."""
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    model.load_state_dict({name: torch.from_numpy(value) for name, value in redraw(shapes, seed=seed).items()})
    return model.eval(), shapes


def encoder(kind: type, width: int, act: str, seed: int) -> tuple[torch.nn.Module, dict[str, list[int]]]:
    """Return a text encoder with its parameters drawn."""
    end = len(make_tokenizer()) - 1
    config = CLIPTextConfig(
        vocab_size=end + 1,
        hidden_size=width,
        projection_dim=10,
        hidden_act=act,
        bos_token_id=end - 1,
        eos_token_id=end,
        architectures=[kind.__name__],
        **TEXT,
    )
    return drawn(kind._from_config(config, attn_implementation="eager"), seed)


def as_texts(parts: dict[str, tuple[torch.nn.Module, dict[str, list[int]]]]) -> dict[str, str]:
    """Return each part's configuration and shapes by path in a repository."""
    texts = {}
    for part, (model, shapes) in parts.items():
        config = model.config.to_dict() if part.startswith("text") else dict(model.config)
        texts |= {f"{part}/config.json": json.dumps(config), f"{part}/shapes": json.dumps(shapes)}
    return texts


def scheduler_text(scheduler: Any) -> str:
    """Return a scheduler_config.json."""
    return json.dumps({"_class_name": type(scheduler).__name__, **scheduler.config})


def channels_last(latents: torch.Tensor) -> np.ndarray:
    """Return latents as ours lie."""
    return np.ascontiguousarray(latents.movedim(1, -1).numpy())


def channels_first(latents: np.ndarray) -> torch.Tensor:
    """Return latents as theirs lie."""
    return torch.from_numpy(latents).movedim(-1, 1).contiguous()


def quiet(pipeline: Any) -> Any:
    """Return a pipeline without its progress bar."""
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def run_sd1(modules: Modules, request: Request, noise: np.ndarray, picture: np.ndarray) -> Arrays:
    """Return what each scheduler makes from noise, and some from a picture and with a mask."""
    arrays: Arrays = {}
    for name, scheduler in SCHEDULERS.items():
        given = {**modules, "scheduler": scheduler, **PLAIN}
        pipeline = quiet(StableDiffusionPipeline(**given))
        guided = {"negative_prompt": [NEGATIVE] * BATCH, "guidance_scale": 7.5, "latents": channels_first(noise)}
        arrays[f"sd1/{name}"] = channels_last(pipeline(**request, **guided).images)
        arrays[f"sd1/{name}/scheduler"] = scheduler_text(scheduler)
        if name == "pndm":
            arrays["sd1/pixels"] = np.float32(pipeline(**{**request, "output_type": "np"}, **guided).images)
        if name in ("ddim", "euler", "dpm++2m", "unipc"):
            arrays |= run_picture(name, quiet(StableDiffusionImg2ImgPipeline(**given)), request, picture)
        if name in ("ddim", "dpm++2m"):
            arrays |= run_mask(name, quiet(StableDiffusionInpaintPipeline(**given)), request, noise, picture)
    return arrays


def run_picture(name: str, pipeline: Any, request: Request, picture: np.ndarray) -> Arrays:
    """Return what is made from a picture; its noise is drawn for the whole batch at once, channels first."""
    asked = {key: value for key, value in request.items() if key not in ("height", "width")}
    noise = torch.randn((BATCH, CHANNELS, SIDE, SIDE), generator=torch.Generator().manual_seed(6))
    made = pipeline(
        **asked,
        image=channels_first(picture),
        strength=0.6,
        generator=torch.Generator().manual_seed(6),
        guidance_scale=3.0,
    )
    return {"picture/noise": channels_last(noise), f"picture/{name}": channels_last(made.images)}


def run_mask(name: str, pipeline: Any, request: Request, noise: np.ndarray, picture: np.ndarray) -> Arrays:
    """Return what is made of a picture where a mask is white."""
    mask = np.zeros((1, 1, SCALE * SIDE, SCALE * SIDE), np.float32)
    mask[..., 7:21, 10:] = 1
    made = pipeline(
        **request,
        latents=channels_first(noise),
        image=channels_first(picture),
        mask_image=torch.from_numpy(mask),
        masked_image_latents=torch.zeros(BATCH, CHANNELS, SIDE, SIDE),
        strength=1.0,
        guidance_scale=3.0,
    )
    return {"mask/pixels": mask[0, 0], f"mask/{name}": channels_last(made.images)}


def run_sd2(modules: Modules, request: Request, noise: np.ndarray) -> Arrays:
    """Return what is made from noise alone with rescaled guidance."""
    pipeline = quiet(StableDiffusionPipeline(**modules, scheduler=ZERO_SNR, **PLAIN))
    made = pipeline(**request, latents=channels_first(noise), guidance_scale=7.5, guidance_rescale=0.7).images
    return {"sd2/ddim": channels_last(made), "sd2/ddim/scheduler": scheduler_text(ZERO_SNR)}


def run_sdxl(modules: Modules, request: Request, noise: np.ndarray) -> Arrays:
    """Return what is made without a negative prompt; and with zeros for none, or with sizes that are not the usual."""
    arrays: Arrays = {}
    for name in ("euler", "ddim"):
        scheduler = SCHEDULERS[name]
        zeros = name == "euler"
        pipeline = StableDiffusionXLPipeline(
            **modules, scheduler=scheduler, force_zeros_for_empty_prompt=zeros, add_watermarker=False
        )
        sizes = {"original_size": (20, 30), "crops_coords_top_left": (3, 5), "target_size": (32, 24)}
        told = {} if zeros else {f"negative_{key}": value for key, value in sizes.items()} | sizes
        made = quiet(pipeline)(**request, latents=channels_first(noise), guidance_scale=5.0, **told).images
        arrays |= {f"sdxl/{name}": channels_last(made), f"sdxl/{name}/scheduler": scheduler_text(scheduler)}
    return arrays


@torch.no_grad()
def main(folder: Path) -> None:
    """Write stable_diffusion.npz."""
    tokenizer = make_tokenizer()
    first = {
        "sd1": encoder(CLIPTextModel, WIDTHS[0], "quick_gelu", 1),
        "sd2": encoder(CLIPTextModel, WIDTHS[0], "gelu", 1),
    }
    first["sdxl"] = first["sd1"]
    vae = drawn(AutoencoderKL(**VAE), 2)
    parts = {
        name: {"text_encoder": first[name], "vae": vae, "unet": drawn(UNet2DConditionModel(**config), 3)}
        for name, config in UNETS.items()
    }
    parts["sdxl"]["text_encoder_2"] = encoder(CLIPTextModelWithProjection, WIDTHS[1], "gelu", 4)
    modules = {
        name: {"tokenizer": tokenizer, **{part: model for part, (model, _) in of.items()}} for name, of in parts.items()
    }
    modules["sdxl"]["tokenizer_2"] = tokenizer
    noise, picture = np.random.default_rng(5).normal(size=(2, BATCH, SIDE, SIDE, CHANNELS)).astype(np.float32)
    picture[1] = picture[0]
    request = {
        "prompt": PROMPTS,
        "height": SCALE * SIDE,
        "width": SCALE * SIDE,
        "num_inference_steps": STEPS,
        "output_type": "latent",
    }
    arrays: Arrays = {"noise": noise, "picture": picture}
    with TemporaryDirectory() as files:
        tokenizer.save_pretrained(files)
        arrays |= {f"tokenizer/{path.name}": path.read_text() for path in Path(files).iterdir()}
    for name, of in parts.items():
        arrays |= {f"{name}/{path}": text for path, text in as_texts(of).items()}
    arrays |= run_sd1(modules["sd1"], request, noise, picture)
    arrays |= run_sd2(modules["sd2"], request, noise)
    arrays |= run_sdxl(modules["sdxl"], request, noise)
    arrays["request"] = json.dumps({"prompt": PROMPTS, "negative_prompt": NEGATIVE, "steps": STEPS})
    np.savez_compressed(folder / "stable_diffusion.npz", allow_pickle=False, **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

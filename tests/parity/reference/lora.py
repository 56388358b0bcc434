"""Run diffusers and PEFT with LoRA files in every format: what UNets and encoders give, and gradients of factors.

Files are written by the libraries themselves where they can, else by hand with keys as found in the wild. What mdctl
saves is read too: `lora_saved` and `lora_saved_peft` are not made here, but lie among the committed arrays.
"""

import json
import shutil
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline, UNet2DConditionModel, WanPipeline
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.parity.redraw import redraw
from tests.parity.reference import clip, unet, wan_transformer

COMMITTED = Path(__file__).parents[1] / "data"
ENCODERS = {"text_encoder": CLIPTextModel, "text_encoder_2": CLIPTextModelWithProjection}
UNET = {
    **dict.fromkeys(("to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out"), 2),
    **dict.fromkeys(("conv1", "downsamplers.0.conv"), 3),
    **dict.fromkeys(("conv_out", "conv_shortcut", "time_emb_proj", "linear_2"), 1),
}
WAN = {"attn1.to_q": 2, "attn2.to_v": 1, "to_out.0": 2, "net.0.proj": 1, "patch_embedding": 2, "proj_out": 1}
ENCODER = {"q_proj": 2, "k_proj": 1, "v_proj": 2, "out_proj": 2, "fc1": 3, "fc2": 2}
"""Ends of names -> the least rank."""

# Modules of a UNet of two levels, the second with transformers of 3 blocks, and one layer a level -> the names that the
# original code has for them.
ORIGINAL = {
    "conv_in": "input_blocks_0_0",
    "down_blocks.0.resnets.0.conv1": "input_blocks_1_0_in_layers_2",
    "down_blocks.0.downsamplers.0.conv": "input_blocks_2_0_op",
    "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q": "input_blocks_3_1_transformer_blocks_0_attn1_to_q",
    "down_blocks.1.attentions.0.transformer_blocks.2.attn1.to_q": "input_blocks_3_1_transformer_blocks_2_attn1_to_q",
    "mid_block.resnets.1.conv2": "middle_block_2_out_layers_3",
    "mid_block.attentions.0.proj_in": "middle_block_1_proj_in",
    "mid_block.attentions.0.transformer_blocks.1.attn2.to_out.0": "middle_block_1_transformer_blocks_1_attn2_to_out_0",
    "mid_block.attentions.0.transformer_blocks.1.ff.net.0.proj": "middle_block_1_transformer_blocks_1_ff_net_0_proj",
    "up_blocks.0.attentions.0.transformer_blocks.2.ff.net.2": "output_blocks_0_1_transformer_blocks_2_ff_net_2",
    "up_blocks.0.attentions.1.proj_out": "output_blocks_1_1_proj_out",
    "up_blocks.0.upsamplers.0.conv": "output_blocks_1_2_conv",
    "up_blocks.1.resnets.0.conv_shortcut": "output_blocks_2_0_skip_connection",
    "up_blocks.1.resnets.1.time_emb_proj": "output_blocks_3_0_emb_layers_1",
    "conv_out": "out_2",
    "time_embedding.linear_2": "time_embed_2",
    "add_embedding.linear_1": "label_emb_0_0",
}
SCALES = {"kohya": 0.7, "diffusers": -0.4}

Factors = dict[str, tuple[np.ndarray, np.ndarray]]
Arrays = dict[str, np.ndarray]


def draw_pipeline(kind: str) -> Any:
    """Build what has adapters of a pipeline, and draw its parameters."""
    parts = {"unet": unet.draw({**unet.CONFIGS[kind], "layers_per_block": 1})[0]}
    for name, encoder in ENCODERS.items():
        config = CLIPTextConfig(**{**clip.SMALLEST, "hidden_act": "gelu"})
        parts[name] = clip.draw(encoder, config)[0]
    rest = dict.fromkeys(("vae", "tokenizer", "scheduler"))
    if kind == "sdxl":
        return StableDiffusionXLPipeline(**parts, **rest, tokenizer_2=None, add_watermarker=False)
    del parts["text_encoder_2"]
    return StableDiffusionPipeline(**parts, **rest, safety_checker=None, feature_extractor=None)


def draw_factors(network: torch.nn.Module, ends: dict[str, int], seed: int) -> Factors:
    """Draw both factors of every module whose name has one of these ends, at ranks that differ."""
    factors = {}
    for name, module in network.named_modules():
        end = next((end for end in ends if name == end or name.endswith(f".{end}")), None)
        if end is not None:
            outputs, *inputs = module.weight.shape
            rank = ends[end] + zlib.crc32(name.encode()) % 2
            shapes = {f"{name}.A": (rank, *inputs), f"{name}.B": (outputs, rank, *(1 for _ in inputs[1:]))}
            factors[name] = tuple(redraw(shapes, seed=seed).values())
    return factors


def by_hand(network: torch.nn.Module, factors: Factors, alphas: dict[str, float]) -> None:
    """Add the product of factors, as a file of float16 holds them, to the weights themselves."""
    modules = dict(network.named_modules())
    for name, pair in factors.items():
        down, up = (np.float32(np.float16(factor)).reshape(len(factor), -1) for factor in pair)
        product = (up @ down).reshape(modules[name].weight.shape)
        modules[name].weight.data += alphas[name] / len(down) * torch.from_numpy(product)


def parts_of(pipeline: Any) -> dict[str, torch.nn.Module]:
    """Return what of a pipeline has adapters."""
    return {name: getattr(pipeline, name) for name in ("unet", *ENCODERS) if getattr(pipeline, name, None) is not None}


def draw_all(pipeline: Any, seed: int) -> dict[str, Factors]:
    """Draw factors for every part."""
    networks = parts_of(pipeline)
    unet_ends = dict.fromkeys(ORIGINAL, 2) if "text_encoder_2" in networks else UNET
    return {
        part: draw_factors(network, unet_ends if part == "unet" else ENCODER, seed)
        for part, network in networks.items()
    }


def write(folder: Path, tensors: Arrays) -> Path:
    """Write tensors as a folder's only file."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    save_file(
        {key: torch.from_numpy(value).contiguous() for key, value in tensors.items()}, folder / "lora.safetensors"
    )
    return folder


def write_kohya(folder: Path, drawn: dict[str, Factors], alphas: dict[str, dict[str, float]]) -> Path:
    """Write factors as kohya's scripts do: in float16, and for SDXL with the names of the original code."""
    encoder = "lora_te1_" if "text_encoder_2" in drawn else "lora_te_"
    beginnings = {"unet": "lora_unet_", "text_encoder": encoder, "text_encoder_2": "lora_te2_"}
    tensors = {}
    for part, factors in drawn.items():
        for name, (down, up) in factors.items():
            original = part == "unet" and "text_encoder_2" in drawn
            stem = beginnings[part] + (ORIGINAL[name] if original else name.replace(".", "_"))
            tensors |= {f"{stem}.lora_down.weight": down, f"{stem}.lora_up.weight": up}
            tensors[f"{stem}.alpha"] = np.array(alphas[part][name])
    return write(folder, {key: value.astype(np.float16) for key, value in tensors.items()})


def same_alphas(drawn: dict[str, Factors], alpha: float) -> dict[str, dict[str, float]]:
    """Return one alpha for all modules."""
    return {part: dict.fromkeys(factors, alpha) for part, factors in drawn.items()}


def several_alphas(drawn: dict[str, Factors]) -> dict[str, dict[str, float]]:
    """Return alphas that differ from module to module."""
    return {part: {name: 1 + zlib.crc32(name.encode()) % 5 / 2 for name in factors} for part, factors in drawn.items()}


def write_old(folder: Path, pipeline: Any) -> Path:
    """Write factors of attention as diffusers once did: under its processors, and without alphas."""
    tensors = {}
    for part, factors in draw_all(pipeline, seed=5).items():
        for name, (down, up) in factors.items():
            before, _, last = name.removesuffix(".0").rpartition(".")
            last = {"q_proj": "to_q", "k_proj": "to_k", "v_proj": "to_v", "out_proj": "to_out"}.get(last, last)
            if last.startswith("to_"):
                stem = f"{part}.{before}.{'processor.' if part == 'unet' else ''}{last}_lora"
                tensors |= {f"{stem}.down.weight": down, f"{stem}.up.weight": up}
    return write(folder, tensors)


def pickle_it(file: Path) -> None:
    """Have PyTorch save a file's tensors beside it, in a folder of their own."""
    folder = file.parent.with_name("lora_pickle")
    folder.mkdir(exist_ok=True)
    tensors = {key: value.half() if key.endswith("up.weight") else value for key, value in load_file(file).items()}
    strided = {key: value.t().contiguous().t() for key, value in tensors.items()}
    torch.save(strided, folder / "pytorch_lora_weights.bin")


def write_diffusers(folder: Path, pipeline: Any) -> Path:
    """Have diffusers save adapters whose ranks and alphas are set by patterns."""
    layers, settings = {}, {}
    for part, network in parts_of(pipeline).items():
        factors = draw_factors(network, UNET if part == "unet" else ENCODER, seed=8)
        config = LoraConfig(**patterns(factors, alpha=3))
        network.add_adapter(config, "drawn")
        fill(network, factors, "drawn")
        key = "unet_lora" if part == "unet" else f"{part}_lora"
        layers[f"{key}_layers"] = get_peft_model_state_dict(network, adapter_name="drawn")
        settings[f"{key}_adapter_metadata"] = {
            name: value for name, value in config.to_dict().items() if name in patterns(factors, alpha=3)
        }
    shutil.rmtree(folder, ignore_errors=True)
    pipeline.save_lora_weights(folder, **layers, **settings)
    return folder


def patterns(factors: Factors, alpha: float) -> dict[str, Any]:
    """Return settings under which every convolution has another alpha, and each module its rank."""
    return {
        "r": 2,
        "lora_alpha": alpha,
        "rank_pattern": {name: len(down) for name, (down, _) in factors.items() if len(down) != 2},
        "alpha_pattern": {name: alpha + 1 for name, (down, _) in factors.items() if down.ndim > 2},
        "target_modules": sorted(factors),
    }


def fill(network: torch.nn.Module, factors: Factors, adapter: str, beginning: str = "") -> None:
    """Put drawn factors into an adapter."""
    ends = (".lora_A.weight", ".lora_B.weight")
    tensors = {
        f"{beginning}{name}{end}": value
        for name, pair in factors.items()
        for end, value in zip(ends, pair, strict=True)
    }
    found = set_peft_model_state_dict(
        network, {key: torch.from_numpy(value) for key, value in tensors.items()}, adapter
    )
    assert not found.unexpected_keys, found


def write_peft(folder: Path, network: torch.nn.Module) -> Any:
    """Have PEFT save an adapter, scaled by the root of its rank; return the network with it."""
    factors = draw_factors(network, UNET, seed=7)
    adapted = get_peft_model(network, LoraConfig(**patterns(factors, alpha=1), use_rslora=True))
    fill(adapted, factors, "default", "base_model.model.")
    shutil.rmtree(folder, ignore_errors=True)
    adapted.save_pretrained(folder)
    (folder / "README.md").unlink()
    return adapted.base_model.model


def run(pipeline: Any, inputs: Arrays, tokens: np.ndarray, case: str) -> Arrays:
    """Return what every part gives."""
    arrays = {}
    for part, network in parts_of(pipeline).items():
        if part == "unet":
            arrays["unet"] = unet.channels_last(unet.predict(network, inputs).detach())
        else:
            encoded = clip.encode(network, tokens)
            arrays |= {f"{part}/{name}": encoded[name].detach().numpy() for name in ("last", "pooled")}
    return {f"{case}/{name}": value for name, value in arrays.items()}


def gradients(network: UNet2DConditionModel, inputs: Arrays, case: str) -> Arrays:
    """Return the gradients of a mean squared loss by the factors of the network's only adapter.

    In float64: in float32 a small gradient that much cancels in is off by 1e-4 of its largest value.
    """
    inputs = {name: values.astype(np.float64) for name, values in inputs.items()}
    network.double().requires_grad_(False)
    factors = {name: weight for name, weight in network.named_parameters() if ".lora_" in name}
    for weight in factors.values():
        weight.requires_grad_(True)
    (unet.predict(network, inputs) - unet.channels_first(inputs["target"])).square().mean().backward()
    ends = {f".lora_A.{case}.weight": "/down", f".lora_B.{case}.weight": "/up"}
    slopes = {}
    for name, weight in factors.items():
        end = next(end for end in ends if name.endswith(end))
        slopes[f"{case}/gradient/{name.removesuffix(end)}{ends[end]}"] = weight.grad.numpy().astype(np.float32)
    return slopes


def run_wan(folder: Path, rng: np.random.Generator) -> Arrays:
    """Have diffusers save an adapter of a video transformer; return what that gives, without it and with it."""
    model, shapes = wan_transformer.draw(wan_transformer.CONFIG)
    inputs = wan_transformer.make_inputs(rng, "image")
    arrays = {f"inputs/wan {name}": inputs[name] for name in ("latents", "time", "text")}
    arrays |= {"wan/transformer/shapes": json.dumps(shapes), "wan/transformer/config": json.dumps(dict(model.config))}

    def predict() -> np.ndarray:
        x = wan_transformer.channels_first(inputs["latents"])
        return np.ascontiguousarray(wan_transformer.predict(model, inputs, x).detach().movedim(1, -1).numpy())

    arrays["wan/transformer"] = predict()
    factors = draw_factors(model, WAN, seed=8)
    settings = patterns(factors, alpha=3)
    model.add_adapter(LoraConfig(**settings), "drawn")
    fill(model, factors, "drawn")
    layers = get_peft_model_state_dict(model, adapter_name="drawn")
    shutil.rmtree(folder, ignore_errors=True)
    WanPipeline.save_lora_weights(folder, transformer_lora_layers=layers, transformer_lora_adapter_metadata=settings)
    return {**arrays, "video/transformer": predict()}


def run_saved(inputs: Arrays, tokens: np.ndarray) -> Arrays:
    """Return what the libraries make of files that mdctl saved."""
    sdxl, sd1 = draw_pipeline("sdxl"), draw_pipeline("sd1")
    sdxl.load_lora_weights(COMMITTED / "lora_saved", adapter_name="saved")
    sd1.unet = PeftModel.from_pretrained(sd1.unet, COMMITTED / "lora_saved_peft").base_model.model
    return {**run(sdxl, inputs, tokens, "saved"), **run(sd1, inputs, tokens, "saved peft")}


def main(folder: Path) -> None:
    """Write lora.npz and a folder for each LoRA."""
    rng = np.random.default_rng(2)
    inputs = unet.make_inputs(rng, "square")
    tokens = np.int32([[10, 3, 7, 2, 11, 0, 0], [10, 5, 11, 0, 0, 0, 0]])
    arrays = {**{f"inputs/{name}": value for name, value in inputs.items()}, "tokens": tokens}
    for kind in ("sd1", "sdxl"):
        pipeline = draw_pipeline(kind)
        arrays |= run(pipeline, inputs, tokens, kind)
        for part, network in parts_of(pipeline).items():
            shapes = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
            said = {"architectures": [type(network).__name__]}
            config = dict(network.config) if part == "unet" else {**network.config.to_dict(), **said}
            arrays |= {f"{kind}/{part}/shapes": json.dumps(shapes), f"{kind}/{part}/config": json.dumps(config)}

    drawn = draw_all(draw_pipeline("sd1"), seed=3)
    write_kohya(folder / "lora_kohya", drawn, same_alphas(drawn, 1.5))
    write_old(folder / "lora_old", draw_pipeline("sd1"))
    pickle_it(folder / "lora_old" / "lora.safetensors")
    write_diffusers(folder / "lora_diffusers", draw_pipeline("sd1"))
    for case in ("kohya", "old", "diffusers"):
        sd1 = draw_pipeline("sd1")
        sd1.load_lora_weights(folder / f"lora_{case}", adapter_name=case)
        arrays |= run(sd1, inputs, tokens, case)
        if case == "diffusers":
            arrays |= gradients(sd1.unet, inputs, case)
    sd1 = draw_pipeline("sd1")
    for case in SCALES:
        sd1.load_lora_weights(folder / f"lora_{case}", adapter_name=case)
    sd1.set_adapters([*SCALES], [*SCALES.values()])
    arrays |= run(sd1, inputs, tokens, "two")
    sd1 = draw_pipeline("sd1")
    sd1.unet = write_peft(folder / "lora_peft", sd1.unet)
    arrays |= run(sd1, inputs, tokens, "peft")

    sdxl = draw_pipeline("sdxl")
    drawn = draw_all(sdxl, seed=4)
    write_kohya(folder / "lora_original", drawn, same_alphas(drawn, 2.5))
    sdxl.load_lora_weights(folder / "lora_original", adapter_name="original")
    arrays |= run(sdxl, inputs, tokens, "original")
    arrays |= gradients(sdxl.unet, inputs, "original")
    alphas = several_alphas(drawn)
    write_kohya(folder / "lora_alphas", drawn, alphas)
    sdxl = draw_pipeline("sdxl")
    for part, network in parts_of(sdxl).items():
        by_hand(network, drawn[part], alphas[part])  # diffusers 0.42.1 gives all modules of such a file one alpha
    arrays |= run(sdxl, inputs, tokens, "alphas")
    arrays |= run_saved(inputs, tokens)
    arrays |= run_wan(folder / "lora_video", rng)

    np.savez_compressed(folder / "lora.npz", **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

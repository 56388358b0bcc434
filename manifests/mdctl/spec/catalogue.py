"""The models that mdctl knows by name, with the few facts that a spec is checked against.

The networks themselves live in `mdctl.models`; these figures are their published configurations' (`config.json` of the
transformer and the VAE in each repository).
"""

from dataclasses import dataclass
from difflib import get_close_matches

from mdctl.spec.errors import SpecError
from mdctl.spec.shapes import PixelShape, Strides


@dataclass(frozen=True, kw_only=True)
class CatalogueModel:
    """One model: what it is called, where its weights are, and what its sizes must divide."""

    name: str
    family: str
    weights: str | None
    num_heads: int
    num_layers: int
    latent_channels: int
    vae: Strides
    patch: Strides
    max_text_tokens: int

    @property
    def pixel_strides(self) -> Strides:
        """Pixels that one token spans along height and width, and frames that one latent frame spans."""
        return Strides(self.vae.temporal, self.vae.height * self.patch.height, self.vae.width * self.patch.width)

    def tokens(self, shape: PixelShape) -> int:
        """Return the length of the transformer's sequence for one video."""
        return shape.latent(self.vae, self.latent_channels).patches(self.patch).tokens


def _wan21(name: str, weights: str | None, num_heads: int, num_layers: int) -> CatalogueModel:
    return CatalogueModel(
        name=name,
        family="wan",
        weights=weights,
        num_heads=num_heads,
        num_layers=num_layers,
        latent_channels=16,
        vae=Strides(4, 8, 8),
        patch=Strides(1, 2, 2),
        max_text_tokens=512,
    )


CATALOGUE: dict[str, CatalogueModel] = {
    model.name: model
    for model in (
        _wan21("wan2.1-t2v-14b", "hf://Wan-AI/Wan2.1-T2V-14B-Diffusers", num_heads=40, num_layers=40),
        _wan21("wan2.1-t2v-1.3b", "hf://Wan-AI/Wan2.1-T2V-1.3B-Diffusers", num_heads=12, num_layers=30),
        _wan21("wan2.1-t2v-tiny", None, num_heads=4, num_layers=4),
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

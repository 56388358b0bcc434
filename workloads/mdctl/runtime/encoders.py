"""The encoders of a repository as a data set takes them: loaded when needed, dropped when everything is encoded."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from mdctl.data.files import content_digest
from mdctl.data.folder import LATENTS, MEAN, STD, Encoders
from mdctl.models.codec import Codec
from mdctl.models.family import Denoiser, TextConditioning
from mdctl.spec.errors import WeightsError
from mdctl.spec.model import ModelSpec


class RepositoryEncoders:
    """A repository's VAE, which `load_codec` loads, and its text encoder, held and computed as `model` says."""

    def __init__(self, load_codec: Callable[[], Codec], denoiser: Denoiser, repository: Path, model: ModelSpec) -> None:
        self._load_codec, self._denoiser, self._repository = load_codec, denoiser, repository
        self._dtype, self._tiling = model.activations_dtype, model.vae_tiling
        self._codec: Codec | None = None
        self._text: Callable[[Sequence[str]], TextConditioning] | None = None
        self._lock = Lock()

    def value(self, *, draws: bool) -> Encoders:
        """Return the encoders; with `draws`, latents come as the moments that each row draws its own from."""
        vae = self._fingerprint("vae") + ("/tiles" if self._tiling else "")
        return Encoders(
            pixels=self._moments if draws else self._latents,
            text=self._captions,
            pixels_fingerprint=f"{vae}/moments" if draws else vae,
            text_fingerprint="/".join(
                [*map(self._fingerprint, self._denoiser.text_sources(self._repository)), self._dtype]
            ),
        )

    def leave(self, *, keep_codec: bool) -> None:
        """Drop what is not needed once everything is encoded: encoders are large."""
        self._text = None
        if not keep_codec:
            self._codec = None

    def _latents(self, videos: Any) -> Mapping[str, Any]:
        return {LATENTS: self._loaded_codec().encode(videos)}

    def _moments(self, videos: Any) -> Mapping[str, Any]:
        mean, std = self._loaded_codec().moments(videos)
        assert std is not None, "the codec was said to have a posterior"
        return {MEAN: mean, STD: std}

    def _captions(self, captions: Sequence[str]) -> Mapping[str, Any]:
        if self._text is None:
            self._text = self._denoiser.load_text(self._repository, self._dtype)
        return self._text(captions)

    def _loaded_codec(self) -> Codec:
        with self._lock:  # clips that are not kept are encoded by several threads
            if self._codec is None:
                self._codec = self._load_codec()
            return self._codec

    def _fingerprint(self, part: str) -> str:
        place = self._repository / part
        if not place.exists():
            raise WeightsError(
                f"{self._repository}: there is no {part} in it; name a whole repository in model.weights"
            )
        return content_digest(place)

"""The data set that a spec asks for, the same on every host."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from mdctl.data.cache import Cache, Share
from mdctl.data.dataset import Dataset
from mdctl.data.files import folder_digest
from mdctl.data.folder import Encoders, FolderSource, folder_dataset
from mdctl.data.index import index_folder
from mdctl.data.synthetic import SyntheticShape, synthetic_dataset
from mdctl.data.video import Decoding
from mdctl.models.family import Family
from mdctl.runtime.network import Network
from mdctl.runtime.peers import Peers
from mdctl.spec.errors import DataError, PeerLost, SpecError, WeightsError
from mdctl.spec.job import JobSpec
from mdctl.spec.model import Dtype, join
from mdctl.spec.shapes import PixelShape
from mdctl.storage.output import as_path


def open_dataset(spec: JobSpec, network: Network, peers: Peers, patience: float) -> Dataset:
    """Return what the network is trained on; encoding it takes at most `patience` seconds."""
    if spec.data.type == "synthetic":
        return open_synthetic(spec, network)
    assert network.repository is not None
    return open_folder(spec, network.family, network.repository, peers, patience)


def open_synthetic(spec: JobSpec, network: Network) -> Dataset:
    """Return noise in the shapes that the network takes."""
    dropped = network.program.null_conditioning
    shape = SyntheticShape(
        latents=network.latents, conditioning={name: struct.shape for name, struct in dropped.items()}
    )
    return synthetic_dataset(
        shape,
        num_samples=spec.data.synthetic.num_samples,
        seed=spec.training.seed,
        num_held_out=spec.data.held_out,
    )


def open_folder(spec: JobSpec, family: Family, repository: Path, peers: Peers, patience: float) -> Dataset:
    """Return the clips of a folder, encoded: each by one host, within `patience` seconds for the slowest.

    Raises:
        SpecError: no folder is named.
        DataError: nothing in it can be used, or hosts see different clips.
    """
    if spec.data.path is None or spec.output_dir is None:
        raise SpecError("data.path is not set; name a folder of clips, or take data.type=synthetic")
    video = spec.video
    decoding = Decoding(PixelShape(video.frames, video.height, video.width), video.fps)
    wait = partial(_wait, peers, patience, count())
    share = Share(peers.rank, peers.count, wait)
    kept = Cache(str(as_path(spec.data.cache or join(spec.output_dir, "cache"))), share)
    index = index_folder(spec.data.path, decoding, kept)
    if len(set(peers.gather("index", index.fingerprint, patience))) > 1:
        raise DataError(f"hosts see different clips in {spec.data.path}; give all of them the same folder")
    loaded: dict[str, Any] = {}
    encoders = _encoders(family, repository, spec.model.activations_dtype, loaded)
    source = FolderSource(index=index, decoding=decoding, encoders=encoders, cache=kept)
    dataset = folder_dataset(source, seed=spec.training.seed, num_held_out=spec.data.held_out)
    loaded.clear()  # everything is encoded, and encoders are large
    return dataset


def _encoders(family: Family, repository: Path, dtype: Dtype, loaded: dict[str, Any]) -> Encoders:
    """Return the repository's encoders, that of text in `dtype`; each goes into `loaded` when there is need of it."""

    def pixels(videos: np.ndarray) -> Any:
        if "codec" not in loaded:
            loaded["codec"] = family.load_codec(repository)
        return loaded["codec"].encode(videos)

    def text(captions: Sequence[str]) -> Any:
        if "text" not in loaded:
            loaded["text"] = family.load_text(repository, dtype)
        return loaded["text"](captions)

    fingerprints = {part: _fingerprint(repository, part) for part in ("vae", "text_encoder", "tokenizer")}
    return Encoders(
        pixels=pixels,
        text=text,
        pixels_fingerprint=fingerprints["vae"],
        text_fingerprint=f"{fingerprints['text_encoder']}/{fingerprints['tokenizer']}/{dtype}",
    )


def _fingerprint(repository: Path, part: str) -> str:
    folder = repository / part
    if not folder.is_dir():
        raise WeightsError(f"{repository}: there is no {part}/ in it; name a whole repository in model.weights")
    return folder_digest(folder)


def _wait(peers: Peers, seconds: float, numbers: Iterator[int]) -> None:
    if not peers.store.barrier(f"cache/{next(numbers)}", seconds):
        raise PeerLost(f"another host has not filled its part of the cache within {seconds:g} s")

"""The data set that a spec asks for, the same on every host and in every attempt that goes on from saved progress."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mdctl.data.cache import Cache
from mdctl.data.dataset import Dataset
from mdctl.data.files import folder_digest
from mdctl.data.folder import Encoders, FolderSource, folder_dataset
from mdctl.data.index import Index, index_folder
from mdctl.data.record import Record, pinned, read_record, write_record
from mdctl.data.synthetic import SyntheticShape, synthetic_dataset
from mdctl.data.video import Decoding
from mdctl.models.family import Family
from mdctl.runtime.log import shared
from mdctl.runtime.network import Network
from mdctl.runtime.preparation import Preparation
from mdctl.runtime.progress import progress_report
from mdctl.runtime.task import Surroundings
from mdctl.spec.errors import DataError, SpecError, WeightsError
from mdctl.spec.job import JobSpec
from mdctl.spec.model import Dtype, join
from mdctl.spec.outputs import CACHE, DATA
from mdctl.spec.shapes import PixelShape
from mdctl.storage.output import as_path

logger = logging.getLogger(__name__)


def open_dataset(around: Surroundings, network: Network) -> Dataset:
    """Return what the network is trained on, prepared by all hosts together."""
    if around.spec.data.type == "synthetic":
        return open_synthetic(around.spec, network)
    assert network.repository is not None
    with progress_report(around.console, "data set") as show:
        preparation = Preparation(peers=around.peers, watchdog=around.watchdog, patience=around.patience, show=show)
        return open_folder(around, network.family, network.repository, preparation)


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


def open_folder(around: Surroundings, family: Family, repository: Path, preparation: Preparation) -> Dataset:
    """Return the clips of a folder, encoded, each by one host.

    Raises:
        SpecError: no folder is named.
        DataError: nothing in it can be used, hosts see different clips, or a clip of this run is gone or changed.
    """
    spec = around.spec
    if spec.data.path is None or spec.output_dir is None:
        raise SpecError("data.path is not set; name a folder of clips, or take data.type=synthetic")
    video = spec.video
    decoding = Decoding(PixelShape(video.frames, video.height, video.width), video.fps)
    kept = Cache(str(as_path(spec.data.cache or join(spec.output_dir, CACHE))), preparation.share)
    index = keep_to_record(around, index_folder(spec.data.path, decoding, kept), preparation)
    loaded: dict[str, Any] = {}
    encoders = _encoders(family, repository, spec.model.activations_dtype, loaded)
    source = FolderSource(index=index, decoding=decoding, encoders=encoders, cache=kept)
    dataset = folder_dataset(source, seed=spec.training.seed, num_held_out=spec.data.held_out)
    loaded.clear()  # everything is encoded, and encoders are large
    return dataset


def keep_to_record(around: Surroundings, found: Index, preparation: Preparation) -> Index:
    """Return the clips that the run began with, or where nothing is saved yet those found now, and record them.

    Raises:
        DataError: hosts see different clips, or one is gone or changed.
        SpecError: another number of clips was held out.
    """
    path, rank = around.output / DATA, around.peers.rank
    began = preparation.first_says("record", bool(around.progress) and path.exists() if rank == 0 else None)
    index = _as_recorded(found, read_record(path), around.spec.data.held_out) if began else found
    if len(set(preparation.all_say("index", index.fingerprint))) > 1:
        raise DataError(f"hosts see different clips in {found.folder}; give all of them the same folder")
    if rank == 0 and not began:
        if around.progress:
            logger.warning("%s is not there: from step %d on this run keeps to the clips of now", path, around.progress)
        write_record(path, Record(index.clips, around.spec.data.held_out))
    return index


def _as_recorded(found: Index, record: Record, num_held_out: int) -> Index:
    if num_held_out != record.num_held_out:
        raise SpecError(
            f"data.heldOut is {num_held_out}, and this run began with {record.num_held_out}; "
            f"put it back, or name another output directory to start afresh"
        )
    index = pinned(found, record.clips)
    num_added = len(found.clips) - len(index.clips)
    if num_added:
        logger.warning(
            "data set %s: clips added since this run began are left out (%d); "
            "a run with another output directory takes them",
            found.folder,
            num_added,
            extra=shared(),
        )
    return index


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

"""The data set that a spec asks for, the same on every host and in every attempt that goes on from saved progress."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from mdctl.data.bucketed_order import BucketedOrder
from mdctl.data.cache import Cache
from mdctl.data.condition import Condition, edges
from mdctl.data.dataset import Dataset
from mdctl.data.folder import FolderSource, folder_dataset
from mdctl.data.index import Index, clip_sizes, index_folder
from mdctl.data.prior import with_prior
from mdctl.data.record import Record, pinned, read_record, write_record
from mdctl.data.synthetic import SyntheticShape, synthetic_dataset
from mdctl.data.treatment import Treatment
from mdctl.data.video import Decoding
from mdctl.models.codec import has_posterior
from mdctl.models.family import Denoiser, Family
from mdctl.networks.controlled import picture_name
from mdctl.runtime.encoders import RepositoryEncoders
from mdctl.runtime.log import shared
from mdctl.runtime.network import Network
from mdctl.runtime.preparation import Preparation
from mdctl.runtime.prior import make_prior
from mdctl.runtime.progress import progress_report
from mdctl.runtime.task import Surroundings
from mdctl.spec.buckets import Size
from mdctl.spec.errors import DataError, SpecError
from mdctl.spec.job import JobSpec
from mdctl.spec.model import join
from mdctl.spec.outputs import CACHE, DATA, PRIOR_DATA
from mdctl.spec.shapes import PixelShape
from mdctl.spec.training import Training
from mdctl.storage.output import as_path

logger = logging.getLogger(__name__)


def open_dataset(around: Surroundings, network: Network) -> Dataset:
    """Return what the network is trained on, prepared by all hosts together."""
    if around.spec.data.type == "synthetic":
        return open_synthetic(around.spec, network)
    assert network.repository is not None
    with progress_report(around.console, "data set") as show:
        preparation = Preparation(peers=around.peers, watchdog=around.watchdog, patience=around.patience, show=show)
        make_prior(around, preparation)
        return open_folder(around, network.family, network.program.denoiser, network.repository, preparation)


def open_synthetic(spec: JobSpec, network: Network) -> Dataset:
    """Return noise in the shapes that the network takes."""
    program = network.program
    shape = SyntheticShape(
        latents=network.latents,
        conditioning={name: struct.shape[1:] for name, struct in program.batch["conditioning"].items()},
        dropped=frozenset(program.null_conditioning),
    )
    return synthetic_dataset(
        shape,
        num_samples=spec.data.synthetic.num_samples,
        seed=spec.training.seed,
        num_held_out=spec.data.held_out,
    )


def open_folder(
    around: Surroundings, family: Family, denoiser: Denoiser, repository: Path, preparation: Preparation
) -> Dataset:
    """Return the clips of a folder, encoded for a network, each by one host.

    Raises:
        SpecError: no folder is named.
        DataError: nothing in it can be used, hosts see different clips, or a clip of this run is gone or changed.
    """
    spec = around.spec
    if spec.data.path is None or spec.output_dir is None:
        raise SpecError("data.path is not set; name a folder of clips, or take data.type=synthetic")
    video = spec.video
    decoding = Decoding(PixelShape(video.frames, video.height, video.width), video.fps)
    # Where nothing is told of framing, no clip need be measured for it.
    framing = denoiser.framing if denoiser.told - denoiser.pictures.keys() else None
    treatment = treatment_of(spec)
    kept = Cache(str(as_path(spec.data.cache or join(spec.output_dir, CACHE))), preparation.share)
    found = index_folder(spec.data.path, decoding, kept, spec.data.caption)
    index = keep_to_record(around, found, preparation, sizes=treatment.sizes)
    load_codec = partial(family.load_codec, spec.catalogue_model, repository, tiling=spec.model.vae_tiling)
    encoders = RepositoryEncoders(load_codec, denoiser, repository, spec.model)
    source = FolderSource(
        index=index,
        decoding=decoding,
        encoders=encoders.value(draws=spec.data.latents == "sample" and has_posterior(repository)),
        cache=kept,
        treatment=treatment,
        framing=framing,
        condition=condition_of(spec.training),
        sizes=clip_sizes(index, kept) if treatment.sizes or framing is not None else {},
    )
    batch = spec.layout.global_batch
    dataset = folder_dataset(source, seed=spec.training.seed, global_batch=batch, num_held_out=spec.data.held_out)
    if spec.training.prior is not None:
        of_class = index_folder(spec.prior_dir, decoding, kept, spec.training.prior.prompt)
        index = keep_to_record(around, of_class, preparation, PRIOR_DATA)
        others = replace(source, index=index, sizes={} if framing is None else clip_sizes(index, kept))
        dataset = with_prior(dataset, folder_dataset(others, seed=spec.training.seed), batch)
    encoders.leave(keep_codec=not treatment.is_kept)
    if isinstance(dataset.order, BucketedOrder):
        report_buckets(dataset.order)
    return dataset


def condition_of(training: Training) -> Condition | None:
    """Return what a ControlNet that is trained is told of each picture."""
    wanted = training.control_net
    return None if wanted is None else edges(picture_name(0), wanted.low, wanted.high)


def treatment_of(spec: JobSpec) -> Treatment:
    """Return what the spec wants done to clips that are trained on."""
    data, central = spec.data, Size(spec.video.height, spec.video.width)
    sizes = () if data.buckets is None else data.buckets.sizes(central)
    return Treatment(sizes=sizes, mirrors=data.flip, crops=data.crop == "random", is_kept=data.cache_latents)


def keep_to_record(
    around: Surroundings, found: Index, preparation: Preparation, name: str = DATA, *, sizes: Sequence[Size] = ()
) -> Index:
    """Return the clips that the run began with, or where nothing is saved yet those found now, and record them.

    The record is `name` in the output directory, DATA or PRIOR_DATA.

    Raises:
        DataError: hosts see different clips, or one is gone or changed.
        SpecError: another number of clips was held out, or buckets had other sizes.
    """
    path, rank = around.output / name, around.peers.rank
    began = preparation.first_says(f"record/{name}", bool(around.progress) and path.exists() if rank == 0 else None)
    now = Record(found.clips, around.spec.data.held_out if name == DATA else 0, tuple(sizes))
    index = _as_recorded(found, read_record(path), now) if began else found
    if len(set(preparation.all_say(f"index/{name}", index.fingerprint))) > 1:
        raise DataError(f"hosts see different clips in {found.folder}; give all of them the same folder")
    if rank == 0 and not began:
        if around.progress:
            logger.warning("%s is not there: from step %d on this run keeps to the clips of now", path, around.progress)
        write_record(path, now)
    return index


def _as_recorded(found: Index, record: Record, now: Record) -> Index:
    if now.num_held_out != record.num_held_out:
        raise SpecError(
            f"data.heldOut is {now.num_held_out}, and this run began with {record.num_held_out}; "
            f"put it back, or name another output directory to start afresh"
        )
    if now.sizes != record.sizes:
        raise SpecError(
            f"data.buckets and video give the sizes {_in_words(now.sizes)}, and this run began with "
            f"{_in_words(record.sizes)}; put them back, or name another output directory to start afresh"
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


def _in_words(sizes: Sequence[Size]) -> str:
    return ", ".join(f"{height} x {width}" for height, width in sizes) or "of no buckets"


def report_buckets(order: BucketedOrder) -> None:
    """Say how many clips each size has, and which sizes have too few for a batch without repetition."""
    counts = {f"{size.height} x {size.width} ({len(clips)})": len(clips) for size, clips in order.buckets.items()}
    logger.info(
        "clips by height x width: %s; the training step is compiled once for each", ", ".join(counts), extra=shared()
    )
    few = [said for said, count in counts.items() if count < order.global_batch]
    if few:
        logger.warning(
            "fewer clips than a batch of %d are %s: such a batch comes once in several epochs, and shows a clip "
            "several times. A smaller batch, a larger data.buckets.step or a lower data.buckets.maxRatio avoids it",
            order.global_batch,
            ", ".join(few),
            extra=shared(),
        )

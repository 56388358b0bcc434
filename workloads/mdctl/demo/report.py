"""Hold what `mdctl generate` made of the captions against the clips, and say honestly how near it came."""

import textwrap
from collections.abc import Mapping
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from etils import epath

from mdctl.data.captions import Listed, listed_clips
from mdctl.data.files import write_whole
from mdctl.data.video import Decoding, decode, encode_png, to_bytes, to_model
from mdctl.demo.measure import ENOUGH, Findings, Videos, measure
from mdctl.demo.samples import sample_files
from mdctl.inference.contact_sheet import Row, contact_sheet
from mdctl.inference.generate import generate
from mdctl.inference.trained import as_trained
from mdctl.models.codec import load_codec_for
from mdctl.parallel.mesh import make_mesh
from mdctl.spec.job import JobSpec
from mdctl.spec.shapes import PixelShape
from mdctl.storage.repository import local_repository

UNTRAINED = "untrained"
"""Samples of the same network with random parameters go to this folder of the run."""


def report(spec: JobSpec, clips_folder: Path, run: Path, sheet: Path) -> bool:
    """Print how near the samples in `run`, the output of the job `spec`, are to clips, and show both on a sheet.

    Returns whether they are near enough. Raises DataError if a caption has no sample.
    """
    spec = as_trained(spec)
    decoding = Decoding(PixelShape(spec.video.frames, spec.video.height, spec.video.width), spec.video.fps)
    listed = listed_clips(epath.Path(clips_folder))
    clips = _stack({clip.name: clips_folder / clip.name for clip in listed}, decoding)
    samples = _stack(own_samples(run, listed), decoding)
    generate(untrained(spec), make_mesh(spec.layout), epath.Path(run / UNTRAINED), lambda done, total: None)
    without_training = _stack(own_samples(run / UNTRAINED, listed), decoding)
    findings = measure(samples, clips, without_training, through_codec(spec, clips))
    rows = [
        Row(clip.caption, [to_bytes(video), to_bytes(sample)])
        for clip, video, sample in zip(listed, clips, samples, strict=True)
    ]
    write_whole(sheet, encode_png(contact_sheet(rows)))
    print(
        f"{table(listed, findings)}\n\n{sheet} shows each clip on the left and the sample of its caption on the right."
    )
    return findings.passed


def own_samples(run: Path, listed: list[Listed]) -> dict[str, Path]:
    """Return the sample of each clip's caption; raises DataError if there is none."""
    files = sample_files(run, [clip.caption for clip in listed])
    return {clip.name: files[clip.caption][-1] for clip in listed}


def untrained(spec: JobSpec) -> JobSpec:
    """Return the same job with random parameters."""
    model = spec.model.model_copy(update={"checkpoint": None, "initialisation": "random"})
    return spec.model_copy(update={"model": model})


def through_codec(spec: JobSpec, clips: Videos) -> Videos:
    """Return what the job's codec makes of clips."""
    assert spec.weights is not None
    repository = local_repository(spec.weights, spec.model.revision)
    codec = load_codec_for(spec.catalogue_model, repository, tiling=spec.model.vae_tiling)
    return np.concatenate([np.asarray(codec.decode(codec.encode(jnp.asarray(clip[None])))) for clip in clips])


def table(listed: list[Listed], findings: Findings) -> str:
    """Return the findings as text."""
    width = max(len(clip.caption) for clip in listed)
    lines = [f"{'caption':{width}}  distance  nearest clip"]
    for number, (clip, nearest) in enumerate(zip(listed, findings.nearest, strict=True)):
        name = "its own" if nearest == number else f"not its own: {listed[nearest].name}"
        lines.append(f"{clip.caption:{width}}  {findings.distances[number, number]:8.3f}  {name}")
    wanted = int(np.ceil(ENOUGH * len(listed)))
    return "\n".join(lines) + textwrap.dedent(f"""

        {findings.num_own} of {len(listed)} samples are nearest to their own clip (at least {wanted} wanted)

        mean distance to the clip of the caption (root mean square, black to white is 2)
          {findings.own:.3f}  samples
          {findings.mean_clip:.3f}  the mean of all clips, to be beaten
          {findings.shuffled:.3f}  samples of other captions
          {findings.untrained:.3f}  samples of an untrained model
          {findings.codec:.3f}  the codec alone: no sample can be expected to come nearer""")


def _stack(files: Mapping[str, Path], decoding: Decoding) -> Videos:
    return np.stack([to_model(decode(file.name, file.read_bytes(), decoding)) for file in files.values()])

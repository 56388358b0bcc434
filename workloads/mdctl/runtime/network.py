"""What a training job trains: its family, its repository of weights, and the compiled step."""

from dataclasses import dataclass
from pathlib import Path

from jax.sharding import Mesh

from mdctl.models.family import Family, find_family
from mdctl.spec.job import JobSpec
from mdctl.spec.shapes import LatentShape, PixelShape
from mdctl.storage.repository import local_repository
from mdctl.training.program import TrainingProgram, make_training_program


@dataclass(frozen=True, kw_only=True)
class Network:
    """A training step and where it came from; `repository` is None where nothing in it is needed."""

    family: Family
    program: TrainingProgram
    latents: LatentShape
    repository: Path | None


def open_network(spec: JobSpec, mesh: Mesh) -> Network:
    """Return the network of a training job; its repository is fetched if it is not on this machine."""
    family = find_family(spec.catalogue_model)
    repository = None
    if needs_repository(spec):
        assert spec.weights is not None
        repository = local_repository(spec.weights, spec.model.revision)
    latents = spec.catalogue_model.latent_shape(trained_size(spec))
    program = make_training_program(spec, mesh, latents, repository)
    return Network(family=family, program=program, latents=latents, repository=repository)


def needs_repository(spec: JobSpec) -> bool:
    """Return whether training reads a repository: one that is named, or whose weights or encoders it needs."""
    training = spec.training
    samples = training.evaluation is not None and bool(training.evaluation.prompts)
    encodes = spec.data.type != "synthetic" or training.text_encoder is not None
    return samples or encodes or spec.model.initialisation == "weights" or spec.model.weights is not None


def trained_size(spec: JobSpec) -> PixelShape:
    """Return the size of the videos that are trained on; synthetic ones may have a size of their own."""
    video = spec.video
    if spec.data.type != "synthetic":
        return PixelShape(video.frames, video.height, video.width)
    noise = spec.data.synthetic
    return PixelShape(noise.frames or video.frames, noise.height or video.height, noise.width or video.width)

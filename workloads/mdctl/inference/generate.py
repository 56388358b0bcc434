"""The task `generate`: from a spec to samples in the output directory (mdctl.inference.samples).

A job that starts again makes what is not there, or is of something else. Where it fans out, each of its programs makes
its own shard; the last one to finish writes the manifest.
"""

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from jax.experimental.multihost_utils import broadcast_one_to_all, sync_global_devices
from jax.sharding import Mesh
from jaxtyping import Float32

from mdctl.data.framing import neutral
from mdctl.data.prompts import Prompt, read_prompts
from mdctl.diffusion.denoise import Params
from mdctl.diffusion.guidance import Guidance
from mdctl.diffusion.samplers.sampler import Sampler
from mdctl.inference.control import check_controls, read_controls
from mdctl.inference.manifest import manifest_file, write_manifest
from mdctl.inference.picture import read_picture
from mdctl.inference.program import Draw, HostConditioning, HostNegative, SamplingProgram, make_sampling_program
from mdctl.inference.samples import Origin, Wanted, commit_sample, encode, read_records
from mdctl.inference.trained import as_trained, trained_job, trained_step
from mdctl.models.codec import Codec
from mdctl.models.family import Denoiser, TextEncode, find_family
from mdctl.networks.controlled import CONTROLS, ControlledDenoiser
from mdctl.networks.loras import Loras, Scales, open_loras
from mdctl.networks.opening import open_network
from mdctl.networks.parts import split, together
from mdctl.parallel.choice import make_execution
from mdctl.parallel.rules import parameter_shardings, replicated
from mdctl.spec.buckets import Size
from mdctl.spec.errors import SpecError
from mdctl.spec.job import JobSpec
from mdctl.spec.model import ModelSpec, join
from mdctl.spec.outputs import CHECKPOINTS
from mdctl.spec.shapes import PixelShape
from mdctl.spec.shard import WHOLE, Shard
from mdctl.storage.checkpoints import load_item
from mdctl.storage.once import look, withdraw
from mdctl.storage.repository import local_file, local_repository

logger = logging.getLogger(__name__)

PROMPTS_AT_A_TIME = 4
"""Prompts that the text encoder sees together."""


Done = Callable[[int, int], None]
"""Called with the number of samples written so far, and of how many."""


def generate(spec: JobSpec, mesh: Mesh, output: epath.Path, done: Done, shard: Shard = WHOLE) -> None:
    """Make the samples of every prompt in a shard of the spec's that `output` lacks.

    Every host of the mesh calls this; each writes the samples that its devices hold.

    Raises:
        UserError: no prompts, or weights, a checkpoint or the output that cannot be used.
        WillFailAgain: the network made something that is not a number.
    """
    spec = as_trained(spec)
    if spec.weights is None:
        raise SpecError(
            f"model.weights is unset, and model.checkpoint {spec.model.checkpoint!r} is no run of {spec.model.name}; "
            "change model.name, or name a repository"
        )
    repository = local_repository(spec.weights, spec.model.revision)
    family = find_family(spec.catalogue_model)
    sampler, settings = family.sampler(spec.catalogue_model, spec.sampling, repository)
    made_from = Origin(spec, trained_step(spec), settings)
    everything = wanted_samples(spec)
    manifest = look(manifest_file(output))  # before the records: what is written from now on is true
    wanted = lacking(output, [each for n, each in enumerate(everything) if shard.has(n)], made_from)
    first = jax.process_index() == 0
    if wanted and first:
        withdraw(manifest_file(output), manifest)
    if wanted:
        opened = open_sampling(spec, repository, open_denoiser(spec, repository, mesh), sampler, mesh)
        make(opened, wanted, made_from, output, done)
    if first:
        there = write_manifest(output, everything, made_from)
        logger.info("%d of %d samples are there", there, len(everything))
    sync_global_devices("manifest")


class Group(NamedTuple):
    """Samples that the same scales of adapters count in, and these scales."""

    scales: Scales
    wanted: Sequence[Wanted]


@dataclass(frozen=True, kw_only=True)
class OpenSampling:
    """All that makes samples of a spec but the parameters; compiled on first use, encoders loaded when needed."""

    spec: JobSpec
    repository: Path
    denoiser: Denoiser
    program: SamplingProgram
    told: HostNegative
    load_codec: Callable[[], Codec]
    loras: Loras

    def encode(self, groups: Sequence[Group]) -> list[tuple[HostConditioning, HostNegative]]:
        """Return for each group the conditioning of its prompts, and of the negative one.

        Encoders are loaded for it and dropped.
        """
        load = self.loras.load_text(self.denoiser, self.repository, self.spec.model.activations_dtype)
        return [self._encode(load(group.scales), [each.prompt for each in group.wanted]) for group in groups]

    def _encode(self, encode: TextEncode, prompts: Sequence[str]) -> tuple[HostConditioning, HostNegative]:
        texts = [*prompts, self.spec.sampling.negative_prompt]
        encoded = encode_prompts(encode, texts)
        told = {name: np.broadcast_to(value, (len(texts), *value.shape)) for name, value in self.told.items()}
        conditioning = {**encoded, **told}
        return conditioning, {name: values[-1] for name, values in conditioning.items()}


def open_sampling(spec: JobSpec, repository: Path, denoiser: Denoiser, sampler: Sampler, mesh: Mesh) -> OpenSampling:
    """Return what makes samples of a network."""
    family, size = find_family(spec.catalogue_model), made_size(spec)
    guidance = Guidance(spec.sampling.guidance, spec.sampling.guidance_rescale)
    shape = spec.catalogue_model.latent_shape(size)
    denoiser.check_takes(shape)
    loras = open_loras(spec.model, denoiser, family.text, repository)
    encoded, denoise = loras.over(denoiser.encoded), loras.over(denoiser.denoise)
    batch = spec.layout.global_batch
    return OpenSampling(
        spec=spec,
        repository=repository,
        denoiser=denoiser,
        program=make_sampling_program(encoded, denoise, sampler, guidance, shape, mesh, batch=batch),
        told={
            **denoiser.framing(neutral(Size(size.height, size.width))),
            **read_controls(spec.sampling.control, denoiser.pictures, size),
        },
        load_codec=partial(family.load_codec, spec.catalogue_model, repository, tiling=spec.model.vae_tiling),
        loras=loras,
    )


def make(opened: OpenSampling, wanted: Sequence[Wanted], made_from: Origin, output: epath.Path, done: Done) -> None:
    """Make samples, a batch at a time, and commit each."""
    spec, program = opened.spec, opened.program
    fields = {"samples": len(wanted), "step": made_from.step, **made_from.settings}
    logger.info("sampling", extra={"fields": fields, "shared": True})
    groups = grouped(wanted)
    encoded = opened.encode(groups)
    params = opened.loras.into(
        load_params(spec, opened.denoiser, opened.repository, program.mesh, made_from.step), replicated(program.mesh)
    )
    codec = opened.load_codec()
    picture = read_picture(spec.sampling, made_size(spec), codec)
    before = 0
    for group, (conditioning, negative) in zip(groups, encoded, strict=True):
        draws = [each.draw for each in group.wanted]
        batches = program(params(group.scales), conditioning, negative, draws, picture)
        for number, samples in enumerate(batches, start=1):
            for sample in samples:
                each = group.wanted[sample.position]
                pixels = decode(codec, sample.latents)
                if commit_sample(output, each, made_from, encode(each, made_from, pixels)):
                    logger.info("made %s", each.name)
                else:
                    logger.info("%s was there already: somebody else has made it", each.name)
            made = before + min(number * program.batch, len(group.wanted))
            sync_global_devices(f"samples {made}")  # a host without samples must not run ahead, or leave
            done(made, len(wanted))
        before += len(group.wanted)


def grouped(wanted: Sequence[Wanted]) -> list[Group]:
    """Return samples by the scales of adapters that count in them, in the order in which each comes first."""
    groups: dict[Scales, list[Wanted]] = {}
    for each in wanted:
        groups.setdefault(each.scales, []).append(each)
    return [Group(scales, group) for scales, group in groups.items()]


def lacking(output: epath.Path, wanted: Sequence[Wanted], made_from: Origin) -> list[Wanted]:
    """Return the samples that are not there, or are of something else; what the first host sees counts for all."""
    records = read_records(output, wanted)
    missing = np.array([not made_from.made(*each) for each in zip(records, wanted, strict=True)], bool)
    return [each for each, is_missing in zip(wanted, broadcast_one_to_all(missing), strict=True) if is_missing]


def wanted_samples(spec: JobSpec) -> list[Wanted]:
    """Return the samples that a spec asks for; raise SpecError if there are none."""
    sampling = spec.sampling
    prompts: Sequence[Prompt] = [Prompt(text) for text in sampling.prompts]
    if sampling.prompts_file is not None:
        prompts = read_prompts(sampling.prompts_file)
    if not prompts:
        raise SpecError("sampling.prompts and sampling.promptsFile are both empty; give a prompt")
    several = sampling.samples_per_prompt
    return [
        Wanted(
            prompt.text,
            Draw(sampling.seed, n * several + k) if prompt.seed is None else Draw(prompt.seed, k),
            f"{n * several + k:04d}-{slug(prompt.text)}",
            scales_of(spec.model, prompt),
        )
        for n, prompt in enumerate(prompts)
        for k in range(several)
    ]


def scales_of(model: ModelSpec, prompt: Prompt) -> Scales:
    """Return how much each adapter of the spec counts in a prompt.

    Raises SpecError: the prompt names one that the spec has not, or would switch what is merged.
    """
    if prompt.lora is None:
        return model.lora_scales
    names = [adapter.called for adapter in model.lora]
    unknown = [name for name in prompt.lora if name not in names]
    if unknown:
        raise SpecError(
            f"{prompt.place}: lora names {unknown[0]!r}, but model.lora has {', '.join(names) or 'none'}; "
            "name one of these, or add it there"
        )
    if model.lora_merge:
        raise SpecError(
            f"{prompt.place}: has scales of its own (lora), but model.loraMerge is true, so that adapters become part "
            "of the weights; add model.loraMerge=false, or leave lora out"
        )
    return tuple(prompt.lora.get(name, 0.0) for name in names)


def slug(text: str) -> str:
    """Return a prompt as part of a file's name: at most 48 letters and digits, joined by dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:48].strip("-") or "empty"


def encode_prompts(encode: TextEncode, prompts: Sequence[str]) -> HostConditioning:
    """Return the conditioning of prompts as host arrays."""
    parts = [
        jax.tree.map(np.asarray, encode(prompts[start : start + PROMPTS_AT_A_TIME]))
        for start in range(0, len(prompts), PROMPTS_AT_A_TIME)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def open_denoiser(spec: JobSpec, repository: Path, mesh: Mesh) -> Denoiser:
    """Return the spec's network over the mesh, as the run had it whose checkpoint is read."""
    model = spec.model
    execution = make_execution(
        mesh, attention=spec.attention, remat="none", dtype=model.activations_dtype, param_dtype=model.weights_dtype
    )
    training = None if model.checkpoint is None else trained_job(model.checkpoint).training
    file = None if spec.denoiser_file is None else local_file(spec.denoiser_file)
    check_controls(spec, training)
    return open_network(spec.catalogue_model, repository, execution, training, file, spec.sampling.control)


def load_params(spec: JobSpec, denoiser: Denoiser, repository: Path, mesh: Mesh, step: int | None) -> Params:
    """Return the network's parameters: those of the checkpoint at `step`, the others the repository's or drawn anew."""
    if isinstance(denoiser, ControlledDenoiser) and not denoiser.trains:
        inner = load_params(spec, denoiser.inner, repository, mesh, step)
        return denoiser.around(inner, parameter_shardings(mesh, denoiser.abstract, denoiser.layout)[CONTROLS])
    shardings = parameter_shardings(mesh, denoiser.abstract, denoiser.layout)
    key = drawn_from(spec)
    if step is not None and denoiser.frozen:  # what stays as it was, as the run had it
        assert spec.model.checkpoint is not None
        key = drawn_from(trained_job(spec.model.checkpoint))
    begun = denoiser.begin(repository, shardings, key) if step is None or denoiser.frozen else None
    if step is None:
        return begun

    def placed(leaf: jax.ShapeDtypeStruct, sharding: jax.sharding.Sharding) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    assert spec.model.checkpoint is not None
    directory = join(spec.model.checkpoint, CHECKPOINTS)
    averaged = spec.model.use_ema and (epath.Path(directory) / str(step) / "ema").exists()
    whole = jax.tree.map(placed, denoiser.abstract, shardings)
    wanted, _ = split(whole, denoiser.frozen)
    trained = load_item(directory, step, "ema" if averaged else "params", wanted)
    return together(trained, split(begun, denoiser.frozen)[1])


def drawn_from(spec: JobSpec) -> jax.Array | None:
    """Return what a job draws the parameters from that it begins with; None where they are the repository's."""
    return jax.random.key(spec.training.seed) if spec.model.initialisation == "random" else None


def made_size(spec: JobSpec) -> PixelShape:
    """Return the size of what is made."""
    return PixelShape(spec.video.frames, spec.video.height, spec.video.width)


def decode(codec: Codec, latents: Float32[np.ndarray, "T H W C"]) -> Float32[np.ndarray, "F H2 W2 3"]:
    """Return the pixels of one sample, in [-1, 1]."""
    pixels: Float32[np.ndarray, "F H2 W2 3"] = np.asarray(codec.decode(jnp.asarray(latents[None]))[0])
    return pixels

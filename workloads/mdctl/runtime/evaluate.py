"""What is measured while training: the held-out loss by time, and samples of the spec's prompts.

    evaluations.jsonl                       a line for each evaluation
    evaluations/000500/samples/0000-*.mp4   its samples, .png where they have one frame

Where an average of the parameters is kept, it is what is evaluated. Every host calls the same, and each writes the
samples that its devices hold.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite

import jax
import numpy as np
from jaxtyping import Float32

from mdctl.data.dataset import Dataset
from mdctl.diffusion.denoise import Params
from mdctl.inference.generate import OpenSampling, decode, grouped, open_sampling, slug
from mdctl.inference.program import Draw, HostConditioning, HostNegative
from mdctl.inference.samples import Origin, Wanted, encode, write_sample
from mdctl.networks.parts import together
from mdctl.parallel.rules import activation_sharding, replicated
from mdctl.runtime.log import shared
from mdctl.runtime.metrics import open_records
from mdctl.runtime.network import Network
from mdctl.runtime.task import Surroundings
from mdctl.spec.errors import WillFailAgain
from mdctl.spec.job import JobSpec
from mdctl.spec.outputs import EVALUATION_RECORDS, EVALUATIONS, evaluation_folder
from mdctl.spec.training import Evaluation
from mdctl.storage.lines import Lines
from mdctl.training.evaluation import make_held_out_loss
from mdctl.training.feed import held_positions, place_rows

logger = logging.getLogger(__name__)

HeldOut = Callable[[Params], Float32[np.ndarray, " K"]]
"""Parameters -> held-out loss in each bucket of time."""

Sampling = Callable[[int, Params], None]
"""(step, parameters): sample the prompts and write them."""


@dataclass(frozen=True, kw_only=True)
class Evaluator:
    """One evaluation; None where the spec asks for nothing of the kind."""

    lines: Lines
    frozen: Params
    held_out: HeldOut | None
    samples: Sampling | None

    def __call__(self, step: int, params: Params) -> None:
        """Evaluate the trained parameters after `step`, and record what was found."""
        params = together(params, self.frozen)
        found = {}
        if self.held_out is not None:
            by_time = [float(loss) for loss in self.held_out(params)]
            if not all(map(isfinite, by_time)):
                raise WillFailAgain(f"step {step}: the held-out loss is {by_time}; lower the learning rate")
            found = {"held_out_loss": sum(by_time) / len(by_time), "held_out_loss_by_time": by_time}
        self.lines.write({"step": step, **found})
        self.lines.flush()
        logger.info("evaluated", extra=shared(step=step, **found))
        if self.samples is not None:
            self.samples(step, params)


def open_evaluator(around: Surroundings, network: Network, dataset: Dataset, frozen: Params) -> Evaluator | None:
    """Return what the spec wants to have evaluated."""
    evaluation = around.spec.training.evaluation
    if evaluation is None:
        return None
    return Evaluator(
        lines=open_records(around.output / EVALUATION_RECORDS, around.peers.rank, around.progress),
        frozen=frozen,
        held_out=open_held_out(around, network, dataset, evaluation) if dataset.num_held_out else None,
        samples=open_prompts(around, network, evaluation) if evaluation.prompts else None,
    )


def open_held_out(around: Surroundings, network: Network, dataset: Dataset, evaluation: Evaluation) -> HeldOut:
    """Return the held-out loss, a global batch at a time; the last batch is filled up with rows that do not count."""
    mesh, size, total = around.mesh, around.spec.layout.global_batch, dataset.num_held_out
    loss = make_held_out_loss(
        network.program.denoiser.denoise, network.program.process, evaluation.time_buckets, around.spec.training.seed
    )
    losses_of = jax.jit(loss, out_shardings=replicated(mesh))
    sharding = activation_sharding(mesh, "batch")
    positions = held_positions(sharding, size)

    def held_out(params: Params) -> Float32[np.ndarray, " K"]:
        losses = []
        for first in range(0, total, size):
            rows = dataset.held_out_batch([min(first + position, total - 1) for position in positions])
            batch = place_rows(rows, positions, size, sharding)
            losses.append(np.asarray(losses_of(params, batch))[: total - first])
        mean: Float32[np.ndarray, " K"] = np.concatenate(losses).mean(axis=0)
        return mean

    return held_out


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """The prompts of an evaluation, encoded, and what samples them."""

    around: Surroundings
    opened: OpenSampling
    wanted: list[Wanted]
    conditioning: HostConditioning
    negative: HostNegative
    settings: Mapping[str, str | float]

    def __call__(self, step: int, params: Params) -> None:
        """Sample and write a batch at a time, until all are there or the job is to stop."""
        opened = self.opened
        codec = opened.load_codec()
        folder = self.around.output / EVALUATIONS / evaluation_folder(step)
        made_from = Origin(opened.spec, step, self.settings)
        for first in range(0, len(self.wanted), opened.program.batch):
            if not self.around.agreement.go_on():
                return
            part = slice(first, first + opened.program.batch)
            wanted = self.wanted[part]
            conditioning = {name: values[part] for name, values in self.conditioning.items()}
            for samples in opened.program(params, conditioning, self.negative, [each.draw for each in wanted]):
                for sample in samples:
                    each = wanted[sample.position]
                    write_sample(folder, each, made_from, encode(each, made_from, decode(codec, sample.latents)))


def open_prompts(around: Surroundings, network: Network, evaluation: Evaluation) -> Prompts:
    """Encode the prompts of an evaluation; the encoder is loaded for it and dropped."""
    family, repository, spec = network.family, network.repository, around.spec
    assert repository is not None
    wanted = wanted_samples(spec, evaluation)
    sampler, settings = family.sampler(spec.catalogue_model, spec.sampling, repository)
    opened = open_sampling(spec, repository, network.program.denoiser, sampler, around.mesh)
    ((conditioning, negative),) = opened.encode(grouped(wanted))
    return Prompts(
        around=around,
        opened=opened,
        wanted=wanted,
        conditioning=conditioning,
        negative=negative,
        settings=settings,
    )


def wanted_samples(spec: JobSpec, evaluation: Evaluation) -> list[Wanted]:
    """Return the samples of an evaluation: `samples` of each prompt, from the same noise every time."""
    prompts = [prompt for prompt in evaluation.prompts for _ in range(evaluation.samples)]
    return [
        Wanted(prompt, Draw(spec.sampling.seed, number), f"{number:04d}-{slug(prompt)}")
        for number, prompt in enumerate(prompts)
    ]

"""The compiled training step over a mesh: what a job runs, and what can be compiled for a slice that is not here.

    params = program.denoiser.begin(folder, program.shardings, key)
    trained, frozen = program.split(params)
    state = program.begin(trained)
    state, metrics = program.step(state, batch, null_conditioning, frozen)

`state`, `batch`, `null_conditioning` and `frozen` of a program are the arguments of its step as ShapeDtypeStructs that
carry their shardings: enough to compile it, to restore a checkpoint into it, and to place a batch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding

from mdctl.diffusion.denoise import Conditioning, Params
from mdctl.diffusion.process import Process
from mdctl.models.family import Denoiser, find_family
from mdctl.networks.opening import open_network
from mdctl.networks.parts import split, together
from mdctl.networks.texted import TEXT
from mdctl.parallel.choice import make_execution
from mdctl.parallel.rules import activation_sharding, parameter_shardings, replicated, shard_like
from mdctl.spec.job import JobSpec
from mdctl.spec.shapes import LatentShape
from mdctl.spec.training import Training
from mdctl.storage.repository import local_file
from mdctl.training.learning_rate import make_learning_rate
from mdctl.training.objective import GlobalBatch, make_loss
from mdctl.training.optimizer import AdamW
from mdctl.training.state import TrainState, init_state
from mdctl.training.step import TrainStep, make_train_step


@dataclass(frozen=True, kw_only=True)
class TrainingProgram:
    """One training step, laid out over a mesh. `begin` and `step` take over the buffers of their first argument."""

    mesh: Mesh
    process: Process
    denoiser: Denoiser
    state: TrainState
    batch: GlobalBatch
    null_conditioning: Conditioning
    frozen: Params
    begin: Callable[[Params], TrainState]
    step: jax.stages.Wrapped

    @property
    def shardings(self) -> Any:
        """Return the sharding of every parameter, trained or not, as `denoiser.begin` takes them."""
        return _shardings(together(self.state.params, self.frozen))

    def split(self, params: Params) -> tuple[Params, Params]:
        """Return the parameters that are trained, and the others: None if there are none."""
        return split(params, self.denoiser.frozen)

    def lower(self) -> jax.stages.Lowered:
        """Trace the step for the devices of the mesh, which need not exist."""
        return self.step.lower(self.state, self.batch, self.null_conditioning, self.frozen)


def make_training_program(
    spec: JobSpec, mesh: Mesh, shape: LatentShape, repository: Path | None = None
) -> TrainingProgram:
    """Return the training step of a job over `mesh`, for latents of `shape`.

    The network's configuration is that in `repository`, a folder of weights, or without one the catalogue's.
    """
    family = find_family(spec.catalogue_model)
    process = family.process(spec.catalogue_model, repository)
    execution = make_execution(
        mesh, attention=spec.attention, remat=spec.remat, dtype=spec.model.activations_dtype, param_dtype="float32"
    )
    file = None if spec.denoiser_file is None else local_file(spec.denoiser_file)
    denoiser = open_network(spec.catalogue_model, repository, execution, spec.training, file)
    denoiser.check_takes(shape)
    optimizer = _make_optimizer(spec.training, denoiser)
    begin = partial(init_state, optimizer=optimizer, ema=spec.training.ema is not None)
    placed = jax.tree.map(_placed, denoiser.abstract, parameter_shardings(mesh, denoiser.abstract, denoiser.layout))
    params, frozen = split(placed, denoiser.frozen)
    state = _abstract_state(mesh, params, begin)
    size = spec.layout.global_batch
    captions = {name: leaf for name, leaf in denoiser.conditioning(1).items() if name not in denoiser.told}
    return TrainingProgram(
        mesh=mesh,
        process=process,
        denoiser=denoiser,
        state=state,
        batch=_abstract_batch(mesh, shape, denoiser.arrays(size, shape)),
        null_conditioning=_abstract_sample(mesh, captions),
        frozen=frozen,
        begin=jax.jit(begin, out_shardings=_shardings(state), donate_argnums=0),
        step=jax.jit(
            _make_step(spec, process, denoiser, optimizer),
            out_shardings=(_shardings(state), replicated(mesh)),
            donate_argnums=0,
        ),
    )


def _make_optimizer(training: Training, denoiser: Denoiser) -> AdamW:
    peak = training.optimizer.learning_rate
    rate = make_learning_rate(training.schedule, peak, training.steps)
    if training.text_encoder is None:
        return AdamW(training.optimizer, rate, denoiser.decay_mask)
    times = training.text_encoder.learning_rate / peak

    def rates(params: Params) -> Any:
        return {name: _everywhere(times if name == TEXT else 1.0, part) for name, part in params.items()}

    return AdamW(training.optimizer, rate, denoiser.decay_mask, rates)


def _everywhere(value: float, tree: Any) -> Any:
    return jax.tree.map(lambda _: value, tree)


def _make_step(spec: JobSpec, process: Process, denoiser: Denoiser, optimizer: AdamW) -> TrainStep:
    training = spec.training
    loss = make_loss(
        denoiser.denoise,
        process,
        training.objective,
        training.seed,
        shift=spec.training_shift,
        global_batch=spec.layout.global_batch,
        prior_weight=None if training.prior is None else training.prior.weight,
    )
    return make_train_step(
        loss,
        optimizer,
        accumulation=training.gradient_accumulation,
        ema_decay=None if training.ema is None else training.ema.decay,
    )


def _abstract_state(mesh: Mesh, params: Params, begin: Callable[[Params], TrainState]) -> TrainState:
    """Return the state's shapes: moments and average lie as the parameters do, integers whole on every device."""
    state = jax.eval_shape(begin, params)
    laid = shard_like(params, _shardings(params), state, otherwise=replicated(mesh))
    placed: TrainState = jax.tree.map(_placed, state, laid)
    return placed


def _abstract_batch(mesh: Mesh, shape: LatentShape, conditioning: Conditioning) -> GlobalBatch:
    (size,) = {leaf.shape[0] for leaf in jax.tree.leaves(conditioning)}
    batch = {
        "latents": jax.ShapeDtypeStruct((size, *shape), jnp.float32),
        "conditioning": conditioning,
        "rows": jax.ShapeDtypeStruct((size,), jnp.uint32),
    }
    placed: GlobalBatch = jax.tree.map(partial(_placed, sharding=activation_sharding(mesh, "batch")), batch)
    return placed


def _abstract_sample(mesh: Mesh, conditioning: Conditioning) -> Conditioning:
    """Return the shapes of one sample's conditioning, without a batch dimension."""
    one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), conditioning)
    return jax.tree.map(partial(_placed, sharding=replicated(mesh)), one)


def _placed(leaf: Any, sharding: NamedSharding) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def _shardings(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.sharding, tree)

"""The task `train`: from the newest checkpoint, or from the start, to the last step or an agreed stop."""

import logging
from typing import Any

import jax
import numpy as np
from etils import epath

from mdctl.diffusion.denoise import Params
from mdctl.runtime.dataset import open_dataset
from mdctl.runtime.evaluate import Evaluator, open_evaluator
from mdctl.runtime.log import shared
from mdctl.runtime.metrics import Metrics, open_records
from mdctl.runtime.network import Network, open_network
from mdctl.runtime.progress import Advance, progress_bar
from mdctl.runtime.publish import is_published, publish
from mdctl.runtime.task import Surroundings, Task
from mdctl.spec.errors import Preempted, SpecError
from mdctl.spec.job import JobSpec
from mdctl.spec.shard import Shard
from mdctl.storage.checkpoints import Checkpoints, load_item, newest_whole, set_aside_damaged
from mdctl.training.feed import feed, place_whole
from mdctl.training.loop import Course, Finished, Hooks, train
from mdctl.training.program import TrainingProgram
from mdctl.training.state import TrainState

logger = logging.getLogger(__name__)


def newest_step(spec: JobSpec, output: epath.Path, shard: Shard) -> int:
    """Return the step of the newest whole checkpoint, 0 if there is none; damaged ones after it are set aside."""
    step, damages = newest_whole(spec.checkpoint_dir)
    for damage in damages:
        logger.warning("damaged checkpoint passed over: %s", damage)
    set_aside_damaged(spec.checkpoint_dir, step)
    return step or 0


def run(around: Surroundings) -> None:
    """Train, and return after the last step.

    Raises:
        Preempted: all hosts stopped before, and saved.
    """
    spec = around.spec
    last = spec.training.steps
    if around.progress >= last:
        publish_saved(around)
        logger.info("nothing is left to do: step %d of %d is saved", around.progress, last, extra=shared())
        return
    around.watchdog.expect("fetching weights", around.patience)
    network = open_network(spec, around.mesh)
    dataset = open_dataset(around, network)
    around.watchdog.expect("loading weights, compiling and the first step", around.patience)
    checkpoints = Checkpoints(spec.checkpoint_dir, keep=spec.training.checkpoint.keep)
    state, frozen = begun(spec, network, around.progress)
    if state is None:
        state = resumed(spec, checkpoints, around.progress, network.program)
    evaluator = open_evaluator(around, network, dataset, frozen)
    logger.info("training", extra=shared(from_step=around.progress, to_step=last, shift=spec.training_shift))
    dropped = place_whole(dataset.dropped, around.mesh)
    with progress_bar(around.console, "train") as advance:
        trained, step = train(
            lambda state, batch: network.program.step(state, batch, dropped, frozen),
            state,
            feed(dataset, around.progress, spec.layout.global_batch, around.mesh),
            _course(spec, around.progress),
            _hooks(around, checkpoints, evaluator, advance),
        )
    around.watchdog.expect("the last save", around.patience)
    checkpoints.finish()
    if spec.training.publish and step == last:
        around.watchdog.expect("publishing what was trained", around.patience)
        item = averaged(spec)
        params = as_trees(trained)[item]
        publish(network.program.denoiser, params, network.repository, around.output, step=step, item=item)
    around.watchdog.rest()
    if step < last:
        raise Preempted(f"asked to stop ({around.agreement.reason}); saved at step {step} of {last}")


def publish_saved(around: Surroundings) -> None:
    """Publish the last step of a run that ended before it had."""
    spec = around.spec
    item, step = averaged(spec), around.progress
    if not spec.training.publish or is_published(around.output, step, item):
        return
    around.watchdog.expect("publishing what was trained", around.patience)
    network = open_network(spec, around.mesh)
    params = load_item(spec.checkpoint_dir, step, item, as_trees(network.program.state)[item])
    publish(network.program.denoiser, params, network.repository, around.output, step=step, item=item)
    around.watchdog.rest()


def averaged(spec: JobSpec) -> str:
    """Return which item of a checkpoint is published: the average, where one is kept."""
    return "params" if spec.training.ema is None else "ema"


def begun(spec: JobSpec, network: Network, step: int) -> tuple[TrainState | None, Params]:
    """Return the state before the first step, None where another was reached, and the parameters not to be trained."""
    program = network.program
    if step and not program.denoiser.frozen:
        return None, None
    key = jax.random.key(spec.training.seed) if spec.model.initialisation == "random" else None
    trained, frozen = program.split(program.denoiser.begin(network.repository, program.shardings, key))
    return None if step else program.begin(trained), frozen


def resumed(spec: JobSpec, checkpoints: Checkpoints, step: int, program: TrainingProgram) -> TrainState:
    """Return the state of a checkpoint.

    Raises:
        SpecError: it was trained in another order: from another seed, with another batch, or another part of a class.
    """
    now, then = integers(spec, step), checkpoints.integers(step)
    for name in ("seed", "global_batch", "of_class"):
        if now[name] != then.get(name, 0):
            raise SpecError(
                f"checkpoint {spec.checkpoint_dir}/{step} was trained with {name} {then.get(name, 0)}, the spec says "
                f"{now[name]}; put it back, or name another output directory to start afresh"
            )
    trees = checkpoints.restore(step, as_trees(program.state))
    taken = jax.make_array_from_process_local_data(program.state.step.sharding, np.array(step, np.int32))
    return TrainState(step=taken, params=trees["params"], opt_state=trees["opt_state"], ema=trees.get("ema"))


def as_trees(state: TrainState) -> dict[str, Any]:
    """Return the parts of a state that a checkpoint keeps as arrays."""
    trees = {"params": state.params, "opt_state": state.opt_state}
    return trees if state.ema is None else {**trees, "ema": state.ema}


def integers(spec: JobSpec, step: int) -> dict[str, int]:
    """Return what, besides the arrays of a state, decides how training goes on."""
    batch = spec.layout.global_batch
    of_class = 0 if spec.training.prior is None else batch // 2
    return {"step": step, "seed": spec.training.seed, "global_batch": batch, "of_class": of_class}


def _course(spec: JobSpec, first: int) -> Course:
    training = spec.training
    return Course(
        first=first,
        last=training.steps,
        save_every=training.checkpoint.every,
        evaluate_every=None if training.evaluation is None else training.evaluation.every,
    )


def _hooks(
    around: Surroundings, checkpoints: Checkpoints, evaluator: Evaluator | None, advance: Advance
) -> Hooks[TrainState]:
    """Return what the loop calls, each under the eyes of the watchdog."""
    spec, watchdog = around.spec, around.watchdog
    metrics = Metrics(
        lines=open_records(around.output / "metrics.jsonl", around.peers.rank, around.progress),
        global_batch=spec.layout.global_batch,
        log_every=spec.training.log_every,
        last=spec.training.steps,
        advance=advance,
    )

    def next_step() -> None:
        # With buckets, any step may be the first of its size, and compiles.
        compiles = 0.0 if spec.data.buckets is None else around.patience
        watchdog.expect("the next step", spec.timeouts.step_minutes * 60 + compiles)

    def report(finished: Finished) -> None:
        metrics(finished)
        around.stop.react = around.agreement.ask  # from the first step on there is something to save
        next_step()

    def save(step: int, state: TrainState) -> None:
        watchdog.expect(f"saving step {step}", around.patience)
        metrics.lines.flush()
        checkpoints.save(step, as_trees(state), integers(spec, step))
        next_step()

    def evaluate(step: int, state: TrainState) -> None:
        assert evaluator is not None
        watchdog.expect(f"the evaluation at step {step}", around.patience)
        evaluator(step, state.params if state.ema is None else state.ema)
        next_step()

    return Hooks(go_on=around.agreement.go_on, report=report, save=save, evaluate=evaluate)


TRAIN = Task(newest_step, run)

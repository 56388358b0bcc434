"""The loop's order of events, with steps that are plain functions."""

import itertools

import jax.numpy as jnp
import pytest

from mdctl.spec.errors import WillFailAgain
from mdctl.training.loop import IN_FLIGHT, Course, Hooks, train


class Run:
    """A loop over numbers: the state is how many batches were added up; everything that happens is written down."""

    def __init__(self, *, go_on_for=10**9, broken=None, idle=None):
        self.events = []
        self.finished = []
        self.left = go_on_for
        self.broken, self.idle = broken, idle

    def take_step(self, state, batch):
        self.events.append(("step", batch + 1))
        metrics = {
            "loss": jnp.float32(batch),
            "grad_norm": jnp.float32(batch + 1 != self.idle),
            "learning_rate": jnp.float32(0.5),
            "finite": jnp.bool_(batch + 1 != self.broken),
        }
        return state + batch, metrics

    def go_on(self):
        self.left -= 1
        return self.left >= 0

    def report(self, finished):
        self.finished.append(finished)
        self.events.append(("report", finished.step))

    def save(self, step, state):
        self.events.append(("save", step))

    def evaluate(self, step, state):
        self.events.append(("evaluate", step))

    def start(self, first, last, save_every, evaluate_every=None):
        course = Course(first=first, last=last, save_every=save_every, evaluate_every=evaluate_every)
        hooks = Hooks(go_on=self.go_on, report=self.report, save=self.save, evaluate=self.evaluate)
        return train(self.take_step, sum(range(first)), itertools.count(first), course, hooks)

    def saved(self):
        return [step for event, step in self.events if event == "save"]


def test_every_step_is_taken_and_reported_once_in_order():
    run = Run()
    ending = run.start(0, 7, save_every=3)
    assert [finished.step for finished in run.finished] == [1, 2, 3, 4, 5, 6, 7]
    assert [finished.loss for finished in run.finished] == [0, 1, 2, 3, 4, 5, 6]
    assert ending == (sum(range(7)), 7)


def test_it_goes_on_where_it_was_with_the_batch_of_that_step():
    run = Run()
    ending = run.start(4, 7, save_every=100)
    assert [finished.step for finished in run.finished] == [5, 6, 7]
    assert ending == (sum(range(7)), 7)


def test_steps_are_dispatched_before_older_ones_are_read():
    run = Run()
    run.start(0, 6, save_every=100)
    assert run.events.index(("report", 1)) == run.events.index(("step", 1 + IN_FLIGHT)) + 1


def test_everything_before_a_save_or_an_evaluation_has_been_read():
    run = Run()
    run.start(0, 8, save_every=4, evaluate_every=6)
    for event in (("save", 4), ("evaluate", 6), ("save", 8)):
        assert run.events[run.events.index(event) - 1] == ("report", event[1])


def test_a_step_is_evaluated_before_it_is_saved():
    run = Run()
    run.start(0, 6, save_every=3, evaluate_every=3)
    assert [event for event in run.events if event[0] in ("evaluate", "save")] == [
        ("evaluate", 3),
        ("save", 3),
        ("evaluate", 6),
        ("save", 6),
    ]


def test_it_saves_on_time_and_at_the_last_step_and_never_twice():
    run = Run()
    run.start(0, 7, save_every=3)
    assert run.saved() == [3, 6, 7]
    run = Run()
    run.start(0, 6, save_every=3)
    assert run.saved() == [3, 6]


@pytest.mark.parametrize(("steps", "saved"), [(5, [3, 5]), (3, [3])])
def test_told_to_stop_it_saves_what_was_begun(steps, saved):
    run = Run(go_on_for=steps)
    _, step = run.start(0, 100, save_every=3)
    assert step == steps
    assert run.saved() == saved


def test_told_to_stop_before_any_step_it_saves_nothing():
    run = Run(go_on_for=0)
    assert run.start(4, 100, save_every=3) == (sum(range(4)), 4)
    assert run.events == []


def test_a_step_that_is_not_a_number_ends_it_before_anything_of_it_is_saved():
    run = Run(broken=6)
    with pytest.raises(WillFailAgain, match=r"step 6: the loss is 5.0 and the gradient's norm 1.0; lower"):
        run.start(0, 100, save_every=3)
    assert run.saved() == [3]
    assert run.finished[-1].step == 5


def test_a_run_that_learns_nothing_ends_at_its_first_step():
    run = Run(idle=4)
    with pytest.raises(WillFailAgain, match=r"step 4: every gradient is 0 .*training.lora.targets"):
        run.start(3, 100, save_every=3)
    assert run.finished == []
    assert run.saved() == []


def test_one_gradient_of_zero_later_on_ends_nothing():
    run = Run(idle=4)
    run.start(0, 6, save_every=3)
    assert run.saved() == [3, 6]


def test_the_time_of_every_step_but_the_first_is_known():
    run = Run()
    run.start(0, 5, save_every=2)
    assert run.finished[0].seconds is None
    assert all(finished.seconds > 0 for finished in run.finished[1:])


def test_the_time_of_a_step_is_not_that_of_a_save(monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr("mdctl.training.loop.time.monotonic", lambda: float(next(clock)))
    run = Run()
    run.save = lambda step, state: [next(clock) for _ in range(1000)]
    run.start(0, 20, save_every=5)
    assert max(finished.seconds for finished in run.finished[1:]) < 5

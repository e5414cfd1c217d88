"""The loop on a plain regression: it learns, obeys its mailbox, and resumes to the same bits."""

import itertools
import random

import numpy
import pytest
import torch
from torch import nn

from engine.formats.errors import StudioError
from engine.training import (
    CheckpointDone,
    Checkpoints,
    Loss,
    Mailbox,
    Measured,
    MicroStepDone,
    Settings,
    StepDone,
    train,
)


class Noisy:
    """Fits a line to noisy points, with dropout and jitter drawn from all the global generators."""

    def __init__(self):
        generator = torch.Generator().manual_seed(1)
        self.points = torch.randn(64, 4, generator=generator)
        self.values = self.points @ torch.tensor([1.0, -2.0, 3.0, 0.5])
        self.weight = nn.Parameter(torch.zeros(4))
        self.seen = []

    def parameters(self):
        return {"weight": self.weight}

    def batches(self, order):
        return torch.randperm(64, generator=order).split(10)

    def loss(self, batch):
        self.seen.append(batch.tolist())
        jitter = random.random() + numpy.random.random() + torch.rand(())
        guess = nn.functional.dropout(self.points[batch], 0.1) @ self.weight
        value = ((guess - self.values[batch]) ** 2).mean() + 0.001 * jitter
        return Loss(value, len(batch), {"jitter": jitter})

    def save(self, folder):
        raise NotImplementedError


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


SETTINGS = Settings(steps=40, learning_rate=0.3, warmup=0.1, accumulation=2, seed=3, checkpoint_seconds=0)


def run(task, settings=SETTINGS, checkpoints=None, resume=None, stop_after=None, mailbox=None):
    """Run to the end, or drop the generator after some events. Returns events and outcome."""
    events, generator = [], train(task, settings, checkpoints, mailbox, resume)
    while stop_after is None or len(events) < stop_after:
        try:
            events.append(next(generator))
        except StopIteration as end:
            return events, end.value
    generator.close()
    return events, None


def steps(events):
    return [event for event in events if isinstance(event, StepDone)]


def test_it_learns_and_reports():
    task = Noisy()
    events, outcome = run(task)
    assert outcome == "done"
    done = steps(events)
    assert [event.step for event in done] == list(range(1, 41))
    assert done[-1].metrics["loss"] < 0.3 * done[0].metrics["loss"]
    assert {"loss", "grad_norm", "lr", "tokens_per_second", "jitter"} <= set(done[0].metrics)
    assert done[0].seconds_left is None
    assert done[-1].seconds_left == 0
    assert sum(isinstance(event, MicroStepDone) for event in events) == 40


def test_the_rate_warms_up_and_decays():
    settings = Settings(steps=100, learning_rate=1.0, warmup=0.1)
    rates = [settings.rate(step) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * step for step in range(1, 11)])
    assert rates[10] == 1.0
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
    assert rates[-1] < 0.001
    assert Settings(steps=11, learning_rate=1.0, warmup=0.1, decay="linear").rate(6) == pytest.approx(0.5)


def test_every_pass_sees_every_batch_once():
    task = Noisy()
    run(task, Settings(steps=14, learning_rate=0.1))
    for batches in (task.seen[:7], task.seen[7:]):
        assert sorted(number for batch in batches for number in batch) == list(range(64))
    assert task.seen[:7] != task.seen[7:]


@pytest.mark.parametrize("stop_after", [3, 4, 5, 17, 50, 99, 118])
def test_resume_is_bitwise(tmp_path, stop_after):
    whole = Noisy()
    expected = [event.metrics["loss"] for event in steps(run(whole)[0])]
    checkpoints = Checkpoints(tmp_path, job_hash="a")
    run(Noisy(), checkpoints=checkpoints, stop_after=stop_after)
    random.seed(99)
    torch.manual_seed(99)
    resumed = Noisy()
    found = checkpoints.newest()
    assert found
    events, outcome = run(resumed, checkpoints=checkpoints, resume=found.tensors)
    assert outcome == "done"
    assert torch.equal(resumed.weight, whole.weight)
    assert [event.metrics["loss"] for event in steps(events)] == expected[found.step :]


def test_others_drawing_random_numbers_change_nothing():
    quiet, noisy = Noisy(), Noisy()
    run(quiet)
    for _ in train(noisy, SETTINGS):
        random.random()
        numpy.random.random()
        torch.rand(7)
    assert torch.equal(quiet.weight, noisy.weight)


def test_training_leaves_the_generators_of_the_process_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run(Noisy())
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("action", "outcome"), [("cancel", "cancelled"), ("keep", "kept"), ("pause", "paused")]
)
def test_mailbox_is_read_after_every_micro_step(tmp_path, action, outcome):
    mailbox, task = Mailbox(), Noisy()
    checkpoints = Checkpoints(tmp_path)
    quiet = Settings(steps=40, learning_rate=0.3, accumulation=2, seed=3, checkpoint_seconds=1e9)
    generator = train(task, quiet, checkpoints, mailbox)
    seen = [type(next(generator)) for _ in range(6)]
    # The first checkpoint does not wait for its time: whoever is interrupted again and again gets further.
    assert seen == [MicroStepDone, StepDone, CheckpointDone, MicroStepDone, StepDone, MicroStepDone]
    mailbox.post(action)
    rest = []
    with pytest.raises(StopIteration) as end:
        while True:
            rest.append(next(generator))
    assert end.value.value == outcome
    assert [type(event) for event in rest] == ([CheckpointDone] if action == "pause" else [])
    if action == "pause":
        whole, resumed = Noisy(), Noisy()
        run(whole, quiet)
        run(resumed, quiet, resume=checkpoints.newest().tensors)
        assert torch.equal(resumed.weight, whole.weight)


def test_a_loss_that_is_no_number_is_said_and_leaves_the_parameters():
    class Broken(Noisy):
        def loss(self, batch):
            loss = super().loss(batch)
            return Loss(loss.value * (float("nan") if len(self.seen) == 7 else 1), loss.tokens)

    task = Broken()
    with pytest.raises(StudioError, match=r"at step 4.*lower learning rate"):
        run(task)
    assert torch.isfinite(task.weight).all()


def test_a_state_of_other_tensors_is_refused(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    run(Noisy(), checkpoints=checkpoints, stop_after=5)
    state = checkpoints.newest().tensors
    state["task.other"] = state.pop("task.weight")
    with pytest.raises(StudioError, match="other tensors"):
        run(Noisy(), resume=state)


class Staged(Noisy):
    """Learns two weights at different rates, the second from step 10 on; remembers the first of then."""

    def __init__(self):
        super().__init__()
        self.bend = nn.Parameter(torch.zeros(()))
        self.kept = None
        self.begun = []

    def parameters(self):
        return {"weight": self.weight, "bend": self.bend}

    def stages(self):
        return (10,)

    def rates(self):
        return {"bend": 0.1}

    def at_step(self, step):
        self.begun.append(step)
        if step >= 10 and self.kept is None:
            self.kept = self.weight.detach().clone()

    def loss(self, batch):
        loss = super().loss(batch)
        if self.kept is None:
            return loss
        held = loss.value + ((self.weight - self.kept) ** 2).sum() + (self.bend - 1) ** 2
        return Loss(held, loss.tokens, {**loss.metrics, "held": held.item()})

    def state(self):
        return {} if self.kept is None else {"kept": self.kept}

    def load_state(self, state):
        self.kept = state["kept"]


def test_stages_begin_anew_and_rates_differ():
    settings = Settings(steps=40, learning_rate=1.0, warmup=0.1)
    curve = [settings.rate(step, (10,)) for step in range(40)]
    assert curve[0] == 1.0 and curve[9] < 0.05
    assert curve[10:13] == pytest.approx([1 / 3, 2 / 3, 1.0]) and curve[39] < 0.01
    task = Staged()
    events, _ = run(task, Settings(steps=12, learning_rate=0.3, warmup=0.0, accumulation=2, clip=1e9))
    assert task.begun == list(range(12))
    assert ["held" in event.metrics for event in steps(events)] == [False] * 10 + [True] * 2
    # Two steps of AdamW with a steady gradient go as far as their rates: 0.3 and 0.15, a tenth of each.
    assert float(task.bend.detach()) == pytest.approx(0.045, rel=0.02)


@pytest.mark.parametrize("stop_after", [20, 29, 30, 31, 60])
def test_a_staged_run_resumes_bitwise(tmp_path, stop_after):
    whole = Staged()
    run(whole)
    checkpoints = Checkpoints(tmp_path)
    run(Staged(), checkpoints=checkpoints, stop_after=stop_after)
    resumed = Staged()
    run(resumed, resume=checkpoints.newest().tensors)
    assert torch.equal(resumed.weight, whole.weight) and torch.equal(resumed.bend, whole.bend)
    assert torch.equal(resumed.kept, whole.kept)


class Measuring(Noisy):
    """Measures itself in three parts before the first step, every fourth, and at the end."""

    def measure(self, step, last):
        return self._parts() if step % 4 == 0 or last else None

    def _parts(self):
        yield
        yield
        return {"first": float(self.weight.detach()[0])}


def measured(events):
    return {event.step: event.metrics["first"] for event in events if isinstance(event, Measured)}


def test_a_task_may_measure_itself_on_the_way():
    quiet = Settings(steps=10, learning_rate=0.3, seed=3)
    plain, task = Noisy(), Measuring()
    run(plain, quiet)
    events, outcome = run(task, quiet)
    assert outcome == "done" and list(measured(events)) == [0, 4, 8, 10]
    assert torch.equal(plain.weight, task.weight)
    assert measured(events)[0] == 0.0 and measured(events)[10] == float(task.weight.detach()[0])


@pytest.mark.parametrize("step", [0, 4, 10])
def test_a_measurement_that_a_pause_breaks_off_is_made_by_whoever_resumes(tmp_path, step):
    settings = Settings(steps=10, learning_rate=0.3, seed=3, checkpoint_seconds=0)
    whole = measured(run(Measuring(), settings)[0])
    checkpoints, mailbox, events = Checkpoints(tmp_path), Mailbox(), []
    generator = train(Measuring(), settings, checkpoints, mailbox)
    with pytest.raises(StopIteration) as end:
        while True:
            events.append(next(generator))
            done = sum(isinstance(event, StepDone) for event in events)
            if done == step and isinstance(events[-1], MicroStepDone):
                mailbox.post("pause")
    assert end.value.value == "paused" and step not in measured(events)
    found = checkpoints.newest()
    assert (found.step if found else 0) == step
    again, outcome = run(Measuring(), settings, checkpoints, found.tensors if found else None)
    assert outcome == "done" and measured(events) | measured(again) == whole


def test_what_is_kept_is_measured_first():
    mailbox = Mailbox()
    generator = train(Measuring(), Settings(steps=10, learning_rate=0.3), mailbox=mailbox)
    events = []
    with pytest.raises(StopIteration) as end:
        while True:
            events.append(next(generator))
            if isinstance(events[-1], StepDone) and events[-1].step == 6:
                mailbox.post("keep")
    assert end.value.value == "kept" and list(measured(events)) == [0, 4, 6]

"""The training loop: a generator that yields after every micro-step, so that others may work in between.

AdamW (Loshchilov & Hutter, arXiv 1711.05101), linear warm-up, cosine or linear decay, clipping,
accumulation. The whole state is a mapping of tensors that a checkpoint holds; with one thread on a CPU, a
resumed run ends with bit for bit the result of an undisturbed one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from engine.formats.errors import StudioError
from engine.training.checkpoint import Checkpoints
from engine.training.randomness import Randomness
from engine.training.task import Loss, Settings, Task

__all__ = ["CheckpointDone", "Mailbox", "Measured", "MicroStepDone", "StepDone", "train"]

Action = Literal["pause", "cancel", "keep"]
Outcome = Literal["done", "paused", "cancelled", "kept"]

STEPS_BEFORE_ESTIMATE = 5
SHARE_FOR_CHECKPOINTS = 0.05


@dataclass(frozen=True)
class MicroStepDone:
    """A part of a step is done (with accumulation), or of a measurement."""


@dataclass(frozen=True)
class StepDone:
    """Step ``step`` of ``steps`` is done. ``seconds_left`` is None until it can be known."""

    step: int
    steps: int
    metrics: dict[str, float]
    seconds_left: float | None


@dataclass(frozen=True)
class CheckpointDone:
    """The state after ``step`` steps lies whole on disk."""

    step: int
    folder: Path


@dataclass(frozen=True)
class Measured:
    """What the task has measured of itself as it is after ``step`` steps."""

    step: int
    metrics: dict[str, float]


Event = MicroStepDone | StepDone | Measured | CheckpointDone


class Mailbox:
    """The last word said to a running job, read after every micro-step; any thread may post."""

    def __init__(self) -> None:
        self.action: Action | None = None

    def post(self, action: Action) -> None:
        self.action = action


class _Order:
    """Endless passes over a task's batches; its position is the generator before this pass, and an index."""

    def __init__(self, task: Task, seed: int) -> None:
        self._task = task
        self._generator = torch.Generator().manual_seed(seed)
        self._begin()

    def _begin(self) -> None:
        self._start = self._generator.get_state()
        self._batches = self._task.batches(self._generator)
        self._index = 0

    def next(self) -> Any:
        if self._index == len(self._batches):
            self._begin()
        batch = self._batches[self._index]
        self._index += 1
        return batch

    @property
    def position(self) -> tuple[Tensor, int]:
        return self._start, self._index

    def move(self, start: Tensor, index: int) -> None:
        self._generator.set_state(start)
        self._begin()
        self._index = index


class _Run:
    """Everything that changes while a task trains; ``state`` is all of it as tensors."""

    def __init__(self, task: Task, settings: Settings) -> None:
        self.task = task
        self.settings = settings
        self.parameters = task.parameters()
        self.stages = _brought(task, "stages", tuple)()
        self.at_step = _brought(task, "at_step", lambda step: None)
        self.learning = _brought(task, "learning", dict)
        self.measure = _brought(task, "measure", lambda step, last: None)
        self.measured = -1
        self.optimizer = torch.optim.AdamW(
            _groups(self.parameters, _brought(task, "rates", dict)()),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self.randomness = Randomness(settings.seed)
        self.order = _Order(task, settings.seed)
        self.step = 0
        self.loss = math.nan
        self._mark()

    def _mark(self) -> None:
        # What a step leaves undone is drawn again after a resume, so chance is kept as it was before the
        # step.
        self._chance = self.randomness.position, self.order.position

    def micro_step(self) -> Loss:
        """Add the gradient of one more batch."""
        with self.randomness.drawn():
            loss = self.task.loss(self.order.next())
            (loss.value / self.settings.accumulation).backward()  # type: ignore[no-untyped-call]
        return replace(loss, value=loss.value.detach())

    def update(self, losses: Sequence[Loss]) -> dict[str, float]:
        """Make a step with the gradients gathered, and say how it went."""
        rate = self.settings.rate(self.step, self.stages)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        held = _Held(self.parameters, self.learning(), self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.settings.clip)
        metrics = {"loss": _mean([loss.value for loss in losses]), "grad_norm": float(norm), "lr": rate}
        if not (math.isfinite(metrics["loss"]) and math.isfinite(metrics["grad_norm"])):
            raise StudioError(
                "failed",
                f"The loss stopped being a number at step {self.step + 1}.",
                "Train again with a lower learning rate.",
                str(metrics),
            )
        self.loss = metrics["loss"]
        self.optimizer.step()
        held.put_back()
        # The fused optimizer writes without saying so; a bank with a router looks here for a change.
        torch.autograd.graph.increment_version(list(self.parameters.values()))
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self._mark()
        names = dict.fromkeys(name for loss in losses for name in loss.metrics)
        return metrics | {
            name: _mean([loss.metrics[name] for loss in losses if name in loss.metrics]) for name in names
        }

    def state(self) -> dict[str, Tensor]:
        """The state after the last whole step."""
        chance, (start, index) = self._chance
        state = _prefixed("random", self.randomness.as_tensors(chance))
        state |= {"step": torch.tensor(self.step), "loss": torch.tensor(self.loss, dtype=torch.float64)}
        state |= {"order.start": start, "order.index": torch.tensor(index)}
        state |= {"measured": torch.tensor(self.measured)} if self.measured >= 0 else {}
        state |= _prefixed("task", self.parameters)
        state |= _prefixed("beside", _brought(self.task, "state", dict)())
        for name, parameter in self.parameters.items():
            state |= _prefixed(f"optimizer.{name}", self.optimizer.state[parameter])
        return state

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        if set(_below("task", state)) != set(self.parameters):
            raise StudioError(
                "failed", "The checkpoint holds other tensors than this job trains.", "Start it anew."
            )
        for name, parameter in self.parameters.items():
            with torch.no_grad():
                parameter.copy_(state[f"task.{name}"])
            moments = _below(f"optimizer.{name}", state)
            # The count of steps stays where the optimizer keeps it; the moments go to the parameter's device.
            self.optimizer.state[parameter] = {
                key: value.to(parameter.device) for key, value in moments.items()
            }
        if beside := _below("beside", state):
            self.task.load_state(beside)  # type: ignore[attr-defined]
        self.randomness.move(_below("random", state))
        self.order.move(state["order.start"], int(state["order.index"]))
        self.step, self.loss = int(state["step"]), float(state["loss"])
        self.measured = int(state.get("measured", -1))
        self._mark()


class _Held:
    """The rows of parameters that a step must not move: their gradient is 0, and what the optimizer makes
    of its momentum and decay is taken back, bit for bit."""

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        learning: Mapping[str, Tensor],
        optimizer: torch.optim.Optimizer,
    ) -> None:
        self._before: list[tuple[Tensor, Tensor, Tensor]] = []
        for name, rows in learning.items():
            parameter, still = parameters[name], ~rows
            if parameter.grad is not None:
                parameter.grad[still] = 0.0
            moments = [
                value for value in optimizer.state[parameter].values() if value.shape == parameter.shape
            ]
            for tensor in (parameter.detach(), *moments):
                self._before.append((tensor, still, tensor[still]))

    def put_back(self) -> None:
        for tensor, still, rows in self._before:
            tensor[still] = rows


class _Clock:
    """Seconds per step, smoothed, and when the next checkpoint is due.

    The first is due at once, so that a run that is interrupted again and again still gets further.
    """

    def __init__(self, checkpoint_seconds: float) -> None:
        self._interval = checkpoint_seconds
        self._last_checkpoint = -math.inf
        self._last_step = time.monotonic()
        self._per_step = 0.0
        self._steps = 0

    def step(self) -> float:
        """Seconds since the step before."""
        now = time.monotonic()
        seconds, self._last_step = now - self._last_step, now
        self._steps += 1
        weight = max(0.05, 1 / self._steps)
        self._per_step += weight * (seconds - self._per_step)
        return seconds

    def seconds_left(self, steps: int) -> float | None:
        return self._per_step * steps if self._steps >= STEPS_BEFORE_ESTIMATE else None

    def due(self) -> bool:
        return time.monotonic() - self._last_checkpoint >= self._interval

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Around the writing of a checkpoint: puts the next one off where this one took long."""
        began = time.monotonic()
        yield
        self._last_checkpoint = time.monotonic()
        self._interval = max(self._interval, (self._last_checkpoint - began) / SHARE_FOR_CHECKPOINTS)


def train(
    task: Task,
    settings: Settings,
    checkpoints: Checkpoints | None = None,
    mailbox: Mailbox | None = None,
    resume: Mapping[str, Tensor] | None = None,
) -> Generator[Event, None, Outcome]:
    """Train ``task``; yields after every micro-step, measurement and checkpoint, and returns how it ended.

    ``resume`` is the state in a checkpoint. The mailbox may say pause (a checkpoint is written first),
    cancel, or keep (end here, as if this had been the last step; the first one is always made). Raises
    StudioError("failed") when loss or gradient stop being numbers, StudioError("disk") when a checkpoint
    cannot be written.
    """
    run = _Run(task, settings)
    if resume is not None:
        run.load_state(resume)
    clock = _Clock(settings.checkpoint_seconds)
    mailbox = mailbox or Mailbox()
    losses: list[Loss] = []
    while True:
        if not losses and run.measured != run.step and not (yield from _measured(run, mailbox)):
            if checkpoints and run.step:
                yield _checkpoint(run, checkpoints, clock)
            return "paused"
        if mailbox.action == "cancel":
            return "cancelled"
        if mailbox.action == "keep" and run.step:
            return "kept"
        if run.step == settings.steps:
            return "done"
        if not losses:
            run.at_step(run.step)
        losses.append(run.micro_step())
        if len(losses) == settings.accumulation:
            metrics = run.update(losses)
            metrics["tokens_per_second"] = sum(loss.tokens for loss in losses) / clock.step()
            losses.clear()
            yield StepDone(run.step, settings.steps, metrics, clock.seconds_left(settings.steps - run.step))
        else:
            yield MicroStepDone()
        if checkpoints and run.step and (mailbox.action == "pause" or (not losses and clock.due())):
            yield _checkpoint(run, checkpoints, clock)
        if mailbox.action == "pause":
            return "paused"


def _measured(run: _Run, mailbox: Mailbox) -> Generator[Event, None, bool]:
    """Let the task measure itself, if it wants to. False when a pause has broken that off: whoever resumes
    begins it anew."""
    last = run.step == run.settings.steps or (mailbox.action == "keep" and run.step > 0)
    parts = run.measure(run.step, last)
    while parts is not None and mailbox.action != "cancel":
        if mailbox.action == "pause":
            return False
        try:
            next(parts)
        except StopIteration as end:
            run.measured = run.step
            yield Measured(run.step, end.value)
            break
        yield MicroStepDone()
    return True


def _checkpoint(run: _Run, checkpoints: Checkpoints, clock: _Clock) -> CheckpointDone:
    with clock.writing():
        return CheckpointDone(run.step, checkpoints.write(run.step, run.state()))


def _brought(task: Task, name: str, otherwise: Callable[..., Any]) -> Callable[..., Any]:
    """What ``task`` brings under ``name``, if it does."""
    return getattr(task, name, otherwise)


def _groups(parameters: Mapping[str, Tensor], rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """One group of the optimizer for each factor on the learning rate."""
    groups: dict[float, list[Tensor]] = {}
    for name, parameter in parameters.items():
        groups.setdefault(rates.get(name, 1.0), []).append(parameter)
    return [{"params": members, "factor": factor} for factor, members in groups.items()]


def _mean(values: Sequence[Tensor | float]) -> float:
    return sum(float(value) for value in values) / len(values)


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}.")
    }

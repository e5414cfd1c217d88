"""The training loop: a generator that yields after every micro-step, so that others may work in between.

When to measure, to write a checkpoint and to end is decided here; what a step does is in ``run``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor

from engine.training.checkpoint import Checkpoints
from engine.training.run import Run
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
    run = Run(task, settings)
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


def _measured(run: Run, mailbox: Mailbox) -> Generator[Event, None, bool]:
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


def _checkpoint(run: Run, checkpoints: Checkpoints, clock: _Clock) -> CheckpointDone:
    with clock.writing():
        return CheckpointDone(run.step, checkpoints.write(run.step, run.state()))

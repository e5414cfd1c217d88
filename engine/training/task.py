"""What the loop asks of a method: a task with its loss, and the settings of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

__all__ = ["Loss", "Settings", "Task"]


@dataclass(frozen=True)
class Settings:
    """How to train. ``warmup`` is a share of the steps, ``clip`` the largest norm of the whole gradient.

    A checkpoint is written every ``checkpoint_seconds``, less often where writing would take more than 5 %
    of the time. ``accumulation`` micro-steps, each with a batch of its own, make a step; their losses are
    averaged.
    """

    steps: int
    learning_rate: float
    warmup: float = 0.05
    weight_decay: float = 0.0
    decay: Literal["cosine", "linear"] = "cosine"
    clip: float = 1.0
    accumulation: int = 1
    seed: int = 0
    checkpoint_seconds: float = 5.0

    def rate(self, step: int, stages: Sequence[int] = ()) -> float:
        """The learning rate of step ``step`` (0 is the first): up linearly, then down to 0, and so again in
        each stage; ``stages`` are the steps at which a new one begins."""
        begin = max((first for first in stages if first <= step), default=0)
        steps = min((first for first in stages if first > step), default=self.steps) - begin
        step -= begin
        warm = round(self.warmup * steps)
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        progress = (step - warm) / max(1, steps - warm)
        falling = (1 + math.cos(math.pi * progress)) / 2 if self.decay == "cosine" else 1 - progress
        return self.learning_rate * falling


@dataclass(frozen=True)
class Loss:
    """What a task computed on a batch: a scalar with a gradient, the tokens read, and what to plot."""

    value: Tensor
    tokens: int
    metrics: Mapping[str, Tensor | float] = field(default_factory=dict)


class Task(Protocol):
    """What a method brings to the loop.

    It may bring more, each for itself: ``stages() -> Sequence[int]``, the steps at which warm-up and decay
    begin anew; ``rates() -> Mapping[str, float]``, a factor on the learning rate of some parameters;
    ``at_step(step)``, called before the first batch of each step; ``learning() -> Mapping[str, Tensor]``, by
    parameter the rows of it that may move in this step (booleans, absent: all): neither gradient nor momentum
    nor decay reaches the others; ``measure(step, last)``, asked before the first step, after each, and at the
    ``last``: None, or a generator that yields now and then and returns metrics; ``state() -> dict[str,
    Tensor]`` and ``load_state``, what a resumed run needs beside the parameters.
    """

    def parameters(self) -> dict[str, Tensor]:
        """The tensors to train, by name, in a fixed order."""

    def batches(self, order: torch.Generator) -> Sequence[Any]:
        """One pass over the data, in an order drawn from ``order`` and from nothing else."""

    def loss(self, batch: Any) -> Loss: ...

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the result to a new folder, and say what a person should know about it."""

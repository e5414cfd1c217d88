"""A run: everything that changes while a task trains, and how each of its steps changes it.

AdamW (Loshchilov & Hutter, arXiv 1711.05101), linear warm-up, cosine or linear decay, clipping,
accumulation. The whole state is a mapping of tensors that a checkpoint holds; with one thread on a CPU, a
resumed run ends with bit for bit the result of an undisturbed one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from engine.formats.errors import StudioError
from engine.training.randomness import Randomness
from engine.training.task import Loss, Settings, Task

__all__ = ["Run"]


class Run:
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
        """Make a step with the gradients gathered, and say how it went: the mean of each metric of ``losses``
        beside "loss", "grad_norm" (before clipping) and "lr". StudioError("failed") where loss or gradient
        are no numbers."""
        rate = self.settings.rate(self.step, self.stages)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        held = _Held(self.parameters, self.learning(), self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.settings.clip)
        metrics = {"loss": _mean([loss.value for loss in losses]), "grad_norm": float(norm), "lr": rate}
        self._refuse_what_is_no_number(metrics)
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

    def _refuse_what_is_no_number(self, metrics: Mapping[str, float]) -> None:
        if not (math.isfinite(metrics["loss"]) and math.isfinite(metrics["grad_norm"])):
            raise StudioError(
                "failed",
                f"The loss stopped being a number at step {self.step + 1}.",
                "Train again with a lower learning rate.",
                str(metrics),
            )

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
        """Go on from what ``state`` gave. StudioError("failed") where that is of other tensors."""
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


class _Held:
    """The rows of parameters that a step must not move: their gradient is 0, and what the optimizer makes
    of its momentum and decay is taken back, bit for bit. ``learning`` has the rows that may move."""

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

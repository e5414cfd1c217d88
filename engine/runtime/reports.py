"""What a running job tells the supervisor: how far it is, its checkpoints, and how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from engine.messages import Error, JobCheckpoint, JobEnded, JobStep, StartJob
from engine.training import CheckpointDone, Measured, StepDone

__all__ = ["Report", "Reports"]

PER_SECOND = 10
Report = JobStep | JobCheckpoint | JobEnded


class Reports:
    """Every report carries the job's epoch. Steps are gathered and told a few times a second.

    ``step`` and ``loss`` are the newest, ``note`` a sentence that goes with every step.
    """

    def __init__(self, order: StartJob, send: Callable[[Report], None]) -> None:
        self.step = 0
        self.loss: float | None = None
        self.note = ""
        self._id, self._epoch = order.id, order.epoch
        self._send = send
        self._unsaid: list[StepDone] = []
        self._said_at = self._began = time.monotonic()
        self._first: int | None = None

    def stepped(self, event: StepDone) -> None:
        """A step of training is done."""
        self.step, self.loss = event.step, event.metrics["loss"]
        self._unsaid.append(event)
        if time.monotonic() - self._said_at >= 1 / PER_SECOND:
            self.flush()

    def measured(self, event: Measured) -> None:
        """What training has measured of itself; it goes beside what is known of that step."""
        self.flush()
        self._tell(f"Training. {self.note}".strip(), [event.step], 0, None, [event.metrics])

    def checkpointed(self, event: CheckpointDone) -> None:
        """A checkpoint lies on the disk."""
        self.flush()
        self._send(JobCheckpoint(id=self._id, epoch=self._epoch, step=event.step, folder=str(event.folder)))

    def flush(self) -> None:
        """Tell of the steps that have not been told."""
        if not self._unsaid:
            return
        steps, self._unsaid, self._said_at = self._unsaid, [], time.monotonic()
        last = steps[-1]
        self._send(
            JobStep(
                id=self._id,
                epoch=self._epoch,
                steps_done=[event.step for event in steps],
                metrics=[event.metrics for event in steps],
                steps=last.steps,
                message=f"Training. {self.note}".strip(),
                seconds_left=last.seconds_left,
            )
        )

    def say(self, message: str, steps: int) -> None:
        """What is being done that is no step."""
        self._tell(message, [], steps, None)

    def advanced(self, done: int, total: int, message: str) -> None:
        """``done`` of ``total`` pieces of work that is no training; told a few times a second."""
        now = time.monotonic()
        if self._first is None:
            self._first, self._began = done, now
        if done < total and done != self.step and now - self._said_at < 1 / PER_SECOND:
            return
        self.step, self._said_at = done, now
        made = done - self._first
        left = (now - self._began) / made * (total - done) if made else None
        self._tell(message, [done] if done else [], total, left)

    def ended(
        self, outcome: Any, output: str = "", result: dict[str, Any] | None = None, error: Error | None = None
    ) -> None:
        """The last report of a run."""
        self.flush()
        self._send(
            JobEnded(
                id=self._id,
                epoch=self._epoch,
                outcome=outcome,
                step=self.step,
                output=output,
                result=result or {},
                error=error,
            )
        )

    def _tell(
        self,
        message: str,
        done: list[int],
        steps: int,
        left: float | None,
        metrics: Sequence[dict[str, float]] = (),
    ) -> None:
        self._send(
            JobStep(
                id=self._id,
                epoch=self._epoch,
                steps_done=done,
                metrics=list(metrics),
                steps=steps,
                message=message,
                seconds_left=left,
            )
        )

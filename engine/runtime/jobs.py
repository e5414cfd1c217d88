"""Running a job: from its order, through the loop or its own work, to reports and a finished folder."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from torch import Tensor

from engine.formats.errors import StudioError
from engine.messages import StartJob
from engine.runtime.failures import explain
from engine.runtime.reports import Report, Reports
from engine.training import (
    CheckpointDone,
    Checkpoints,
    Mailbox,
    Measured,
    Settings,
    StepDone,
    Task,
    train,
)

__all__ = ["JobRun"]


class JobRun(ABC):
    """One start of a job: ``steps`` is its work, and never raises; how it ended is its last report.

    Post to ``mailbox`` to pause, cancel or keep.
    """

    def __init__(self, order: StartJob, report: Callable[[Report], None]) -> None:
        self.id = order.id
        self.epoch = order.epoch
        self.mailbox = Mailbox()
        if order.keep:
            self.mailbox.post("keep")
        self.order = order
        self.folder = Path(order.folder)
        self.reports = Reports(order, report)

    def steps(self) -> Generator[None, None, None]:
        """The whole job; yields whenever others may work."""
        try:
            yield
            yield from self.work()
        except Exception as error:  # noqa: BLE001 - whatever happens to a job is in its report
            self.reports.ended("failed", error=explain(error))

    @abstractmethod
    def work(self) -> Generator[None, None, None]:
        """What is done, to its last report."""

    def train(self, task: Task, settings: Settings, out: str, job_hash: str) -> Generator[None, None, None]:
        """Train ``task`` to its end and save it as what is called ``out``. ``job_hash`` names all that it was
        made of."""
        reports = self.reports
        checkpoints = Checkpoints(self.folder, epoch=self.order.epoch, job_hash=job_hash)
        resume = self._resume(checkpoints)
        outcome = yield from self._follow(train(task, settings, checkpoints, self.mailbox, resume))
        if outcome in ("paused", "cancelled"):
            reports.ended(outcome)
            return
        reports.say("Saving.", settings.steps)
        yield
        output = self._output()
        result = {"name": out, "steps": reports.step, "loss": reports.loss} | task.save(output)
        reports.ended(outcome, str(output), result)

    def _resume(self, checkpoints: Checkpoints) -> dict[str, Tensor] | None:
        """The state to go on from. A note says so where it is not the one that was asked for."""
        if self.order.checkpoint is None:
            return None
        reports = self.reports
        found = checkpoints.newest(Path(self.order.checkpoint))
        if checkpoints.complaints:
            again = f"Went on from step {found.step}." if found else "Began again from the first step."
            reports.note = " ".join([*checkpoints.complaints, again, reports.note]).strip()
        if found is None and self.order.keep:
            raise StudioError(
                "failed",
                "None of its checkpoints can be read any more, so there is nothing to keep.",
                "Resume it to train it anew, or cancel it.",
                reports.note,
            )
        if found is None:
            return None
        reports.step, reports.loss = found.step, float(found.tensors["loss"])
        return found.tensors

    def _follow(self, loop: Generator[Any, None, Any]) -> Generator[None, None, Any]:
        """Turn the loop's events into reports; returns how it ended."""
        while True:
            try:
                event = next(loop)
            except StopIteration as end:
                return end.value
            if isinstance(event, StepDone):
                self.reports.stepped(event)
            elif isinstance(event, Measured):
                self.reports.measured(event)
            elif isinstance(event, CheckpointDone):
                self.reports.checkpointed(event)
            yield

    def _output(self) -> Path:
        """A folder for the result; what an earlier start wrote without getting to say so is dropped."""
        output = self.folder / f"output-{self.epoch:06d}"
        for old in self.folder.glob("output-*"):
            if old.name < output.name:
                shutil.rmtree(old)
        return output

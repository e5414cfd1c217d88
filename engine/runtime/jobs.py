"""Running a job: from its order, through the loop or its own work, to reports and a finished folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from engine.formats.errors import StudioError
from engine.formats.files import sha256_file
from engine.formats.mix_file import MIXER
from engine.messages import ExportMix, ScoreMix, StartJob
from engine.mixer.joint import JointTask
from engine.mixer.training import RouterTask
from engine.runtime.base import Base
from engine.runtime.comparing import score_mix
from engine.runtime.exporting import export_mix
from engine.runtime.failures import explain
from engine.runtime.reports import Report, Reports
from engine.runtime.tasks import TrainingSpec, job_hash, make_task, settings_of
from engine.training import CheckpointDone, Checkpoints, Mailbox, StepDone, train

__all__ = ["JobRun"]

OUTPUT = {ScoreMix: "arms", ExportMix: "output"}
"""What jobs that train nothing leave in their folder."""


class JobRun:
    """One start of a job: ``steps`` is its work, and never raises; how it ended is its last report.

    Post to ``mailbox`` to pause, cancel or keep. ``router`` is the router that trains, while it does.
    """

    def __init__(self, base: Base, order: StartJob, report: Callable[[Report], None]) -> None:
        self.id = order.id
        self.epoch = order.epoch
        self.mailbox = Mailbox()
        if order.keep:
            self.mailbox.post("keep")
        self.router: RouterTask | JointTask | None = None
        self._base = base
        self._order = order
        self._folder = Path(order.folder)
        self._reports = Reports(order, report)

    def steps(self) -> Generator[None, None, None]:
        """The whole job; yields whenever others may work."""
        spec = self._order.spec
        try:
            yield
            if isinstance(spec, ScoreMix | ExportMix):
                yield from self._work(spec)
            elif isinstance(spec, TrainingSpec):
                yield from self._train(spec)
            else:
                raise StudioError("protocol", f"A runtime does no {type(spec).__name__}.")
        except Exception as error:  # noqa: BLE001 - whatever happens to a job is in its report
            self._reports.ended("failed", error=explain(error))

    def _work(self, spec: ScoreMix | ExportMix) -> Generator[None, None, None]:
        """A job that is no training: it keeps what it has finished in the job's folder by itself."""
        order, reports = self._order, self._reports
        digest = sha256_file(Path(order.paths[f"mix:{spec.mix}"], MIXER))
        if isinstance(spec, ScoreMix):
            work = score_mix(self._base, spec, order.paths, self._folder, self.mailbox, reports.advanced)
        else:
            work = export_mix(self._base, spec, order.paths, self._folder, self.mailbox, reports.advanced)
        outcome, result = yield from work
        output = str(self._folder / OUTPUT[type(spec)]) if outcome == "done" else ""
        reports.ended(outcome, output, result | {"sha256": digest} if result else {})

    def _train(self, spec: TrainingSpec) -> Generator[None, None, None]:
        order, reports = self._order, self._reports
        reports.say("Preparing the examples.", 0)
        yield
        task = make_task(self._base, spec, order.paths)
        try:
            reports.note = " ".join(task.bank.notes)
            yield
            settings = settings_of(spec, len(task.examples))
            checkpoints = Checkpoints(self._folder, epoch=order.epoch, job_hash=job_hash(order))
            resume = self._resume(checkpoints)
            self.router = task if isinstance(task, RouterTask | JointTask) else None
            outcome = yield from self._follow(train(task, settings, checkpoints, self.mailbox, resume))
            if outcome in ("paused", "cancelled"):
                reports.ended(outcome)
                return
            reports.say("Saving.", settings.steps)
            yield
            output = self._output()
            result = {"name": spec.out, "steps": reports.step, "loss": reports.loss} | task.save(output)
            reports.ended(outcome, str(output), result)
        finally:
            self.router = None
            task.close()

    def _resume(self, checkpoints: Checkpoints) -> dict[str, Any] | None:
        """The state to go on from. A note says so where it is not the one that was asked for."""
        if self._order.checkpoint is None:
            return None
        reports = self._reports
        found = checkpoints.newest(Path(self._order.checkpoint))
        if checkpoints.complaints:
            again = f"Went on from step {found.step}." if found else "Began again from the first step."
            reports.note = " ".join([*checkpoints.complaints, again, reports.note]).strip()
        if found is None and self._order.keep:
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
                self._reports.stepped(event)
            elif isinstance(event, CheckpointDone):
                self._reports.checkpointed(event)
            yield

    def _output(self) -> Path:
        """A folder for the result; what an earlier start wrote without getting to say so is dropped."""
        output = self._folder / f"output-{self.epoch:06d}"
        for old in self._folder.glob("output-*"):
            if old.name < output.name:
                shutil.rmtree(old)
        return output

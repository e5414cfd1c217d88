"""Jobs that need a base: what is trained on it, and the scorings and exports of its mixes."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

from engine.formats.errors import StudioError
from engine.formats.files import sha256_file
from engine.formats.mix_file import MIXER
from engine.messages import ExportMix, ScoreMix, StartJob
from engine.mixer.joint import JointTask
from engine.mixer.training import RouterTask
from engine.runtime.base import Base
from engine.runtime.comparing import score_mix
from engine.runtime.exporting import export_mix
from engine.runtime.jobs import JobRun
from engine.runtime.reports import Report
from engine.runtime.tasks import TrainingSpec, job_hash, make_task, settings_of

__all__ = ["BaseJob"]

OUTPUT = {ScoreMix: "arms", ExportMix: "output"}
"""What jobs that train nothing leave in their folder."""


class BaseJob(JobRun):
    """A job on ``base``. ``router`` is the router that trains, while it does."""

    def __init__(self, base: Base, order: StartJob, report: Callable[[Report], None]) -> None:
        super().__init__(order, report)
        self.router: RouterTask | JointTask | None = None
        self._base = base

    def work(self) -> Generator[None, None, None]:
        spec = self.order.spec
        if isinstance(spec, ScoreMix | ExportMix):
            yield from self._keep_by_itself(spec)
        elif isinstance(spec, TrainingSpec):
            yield from self._train(spec)
        else:
            raise StudioError("protocol", f"A runtime does no {type(spec).__name__}.")

    def _keep_by_itself(self, spec: ScoreMix | ExportMix) -> Generator[None, None, None]:
        """A job that is no training: it keeps what it has finished in the job's folder by itself."""
        paths, advanced = self.order.paths, self.reports.advanced
        digest = sha256_file(Path(paths[f"mix:{spec.mix}"], MIXER))
        if isinstance(spec, ScoreMix):
            work = score_mix(self._base, spec, paths, self.folder, self.mailbox, advanced)
        else:
            work = export_mix(self._base, spec, paths, self.folder, self.mailbox, advanced)
        outcome, result = yield from work
        output = str(self.folder / OUTPUT[type(spec)]) if outcome == "done" else ""
        self.reports.ended(outcome, output, result | {"sha256": digest} if result else {})

    def _train(self, spec: TrainingSpec) -> Generator[None, None, None]:
        self.reports.say("Preparing the examples.", 0)
        yield
        task = make_task(self._base, spec, self.order.paths)
        try:
            self.reports.note = " ".join(task.bank.notes)
            yield
            self.router = task if isinstance(task, RouterTask | JointTask) else None
            settings = settings_of(spec, len(task.examples))
            yield from self.train(task, settings, spec.out, job_hash(self.order))
        finally:
            self.router = None
            task.close()

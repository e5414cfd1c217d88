"""Gates that experts bring with them: each trained on its expert's own data, with nobody else present."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

from app.client import Client
from engine.messages import Body, DataSet, Job, SubmitJob, TrainGate

__all__ = ["GATED", "Gates"]

GATED = "-gated"


class Gates(QObject):
    """The trainings of gates that were begun here; each makes a copy of its adapter with the gate beside it.

    ``begun(job)``: it has its place in the queue. ``ready(adapter, gated)``: the copy is in the library.
    ``failed(error)``: it could not be begun, or not be trained.
    """

    begun = Signal(object)
    ready = Signal(str, str)
    failed = Signal(object)

    def __init__(self, client: Client, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._client = client
        self._jobs: dict[str, str] = {}

    def train(self, base: str, adapter: str, data: DataSet, out: str) -> None:
        """Train the gate of ``adapter`` on ``data``; ``out`` is the copy's name."""
        spec = TrainGate(base=base, adapter=adapter, data=data.path, out=out)
        self._client.ask(
            SubmitJob(id=str(uuid.uuid4()), spec=spec), self._submitted(adapter), self.failed.emit
        )

    def _submitted(self, adapter: str) -> Callable[[Body], None]:
        def submitted(job: Body) -> None:
            if isinstance(job, Job):
                self._jobs[job.id] = adapter
                self.begun.emit(job)

        return submitted

    def job_changed(self, job: Job) -> None:
        """An Event of the engine; other jobs are none of this one's business."""
        if job.id not in self._jobs:
            return
        if job.state == "done":
            self.ready.emit(self._jobs.pop(job.id), job.name)
        elif job.state in ("failed", "cancelled"):
            del self._jobs[job.id]
            if job.error is not None:
                self.failed.emit(job.error)

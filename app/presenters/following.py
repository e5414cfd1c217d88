"""One job followed: submitted, drawn live, steered, found again after the window closed."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import ClassVar

import msgspec
from PySide6.QtCore import QObject, Signal

from app.client import Client
from engine.messages import (
    Body,
    CancelJob,
    Job,
    JobChanged,
    JobProgress,
    JobRemoved,
    Jobs,
    JobSpec,
    ListJobs,
    Metrics,
    PauseJob,
    ReadMetrics,
    Request,
    ResumeJob,
    SubmitJob,
)

__all__ = ["OPEN_STATES", "Following"]

OPEN_STATES = ("queued", "running", "paused", "held")


class Following(QObject):
    """The newest job of certain ``kinds`` that matters here: its ``job`` (None before the first), its
    ``curve`` {name: (step, value), ...} and the ``names`` of all of them.

    ``changed``: the job's state, progress or time left. ``curve_replaced``: read ``curve`` anew.
    ``curve_grew(step, metrics)``: one more point. ``finished(job)``: it ended while being watched.
    ``found(job)``: an unfinished one met on connecting. ``failed(error)``: a wish was refused.
    """

    kinds: ClassVar[tuple[type, ...]] = ()

    changed = Signal()
    curve_replaced = Signal()
    curve_grew = Signal(int, dict)
    finished = Signal(object)
    found = Signal(object)
    failed = Signal(object)

    def __init__(self, client: Client, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._client = client
        self.job: Job | None = None
        self.curve: dict[str, list[tuple[int, float]]] = {}
        self.names: set[str] = set()
        self._sought = ""
        self._then: Callable[[], object] | None = None
        client.happened.connect(self._on_event)
        client.gauge.connect(self._on_gauge)

    @property
    def is_open(self) -> bool:
        return self.job is not None and self.job.state in OPEN_STATES

    def submit(self, spec: JobSpec) -> None:
        """Hand the work over. It counts as begun only once the engine has it on disk."""
        self._ask(SubmitJob(id=str(uuid.uuid4()), spec=spec))

    def pause(self) -> None:
        if self.job is not None:
            self._ask(PauseJob(id=self.job.id))

    def resume(self) -> None:
        if self.job is not None:
            self._ask(ResumeJob(id=self.job.id))

    def cancel(self, then: Callable[[], object] | None = None) -> None:
        """Forget what is being learned; ``then`` is called once it has ended."""
        if self.job is not None:
            self._then = then
            self._ask(CancelJob(id=self.job.id))

    def stop_and_keep(self) -> None:
        if self.job is not None:
            self._ask(CancelJob(id=self.job.id, keep=True))

    def find(self, job_id: str = "") -> None:
        """Look for the job this window left (``job_id``, else the newest open one); draw it whole."""
        self._sought = job_id
        self._client.ask(ListJobs(), self._look_through, self.failed.emit)

    def _on_event(self, body: object) -> None:
        match body:
            case JobChanged(job=job):
                self._job_changed(job)
            case JobRemoved(id=gone):
                self._job_removed(gone)

    def _job_changed(self, job: Job) -> None:
        if self.job is None or job.id != self.job.id:
            return
        was_open = self.is_open
        resumed = self.job.state != "running" and job.state == "running"
        self.job = job
        self.changed.emit()
        if resumed or (was_open and not self.is_open):
            self._read_curve()
        if was_open and not self.is_open:
            self.finished.emit(job)
            then, self._then = self._then, None
            if then is not None:
                then()

    def _job_removed(self, job_id: str) -> None:
        if self.job is not None and job_id == self.job.id and not self.is_open:
            self.job = None
            self.changed.emit()

    def _on_gauge(self, progress: object) -> None:
        """Where the job is. Steps may have been skipped; the whole curve is read when it ends."""
        if not isinstance(progress, JobProgress):
            return
        if self.job is None or progress.id != self.job.id or not self.is_open:
            return
        is_new = progress.step > self.job.step
        self.job = _progressed(self.job, progress)
        if is_new and progress.metrics:
            self._forget_from(progress.step)
            for name, value in progress.metrics.items():
                self.curve.setdefault(name, []).append((progress.step, value))
            self.curve_grew.emit(progress.step, progress.metrics)
        self.changed.emit()

    def _forget_from(self, step: int) -> None:
        """A training that was interrupted repeats the steps since its checkpoint; so does its curve."""
        if any(points and points[-1][0] >= step for points in self.curve.values()):
            self.curve = {
                name: [point for point in points if point[0] < step] for name, points in self.curve.items()
            }
            self.curve_replaced.emit()

    def _ask(self, request: Request) -> None:
        self._client.ask(request, self._answered, self.failed.emit)

    def _answered(self, body: Body) -> None:
        if not isinstance(body, Job):
            return
        if self.job is None or body.id != self.job.id:
            self._adopt(body)
        else:
            self._job_changed(body)

    def _adopt(self, job: Job) -> None:
        self.job = job
        self.names.add(job.name)
        self.curve = {}
        self.curve_replaced.emit()
        self.changed.emit()
        if job.step:
            self._read_curve()

    def _look_through(self, body: Body) -> None:
        if not isinstance(body, Jobs):
            return
        jobs = {job.id: job for job in body.jobs if isinstance(job.spec, self.kinds)}
        self.names = {job.name for job in jobs.values()}
        if self.job is not None and self.job.id in jobs:
            self._job_changed(jobs[self.job.id])
            return
        left = jobs.get(self._sought)
        open_ones = [job for job in jobs.values() if job.state in OPEN_STATES]
        newest = left or max(open_ones, key=lambda job: job.created, default=None)
        if newest is not None:
            self._adopt(newest)
            self.found.emit(newest)
            if not self.is_open:
                self.finished.emit(newest)

    def _read_curve(self) -> None:
        if self.job is not None:
            self._client.ask(ReadMetrics(id=self.job.id), self._curve_read, self.failed.emit)

    def _curve_read(self, body: Body) -> None:
        if not isinstance(body, Metrics) or self.job is None or body.id != self.job.id:
            return
        self.curve = {
            name: [(step, value) for step, value in zip(body.steps, values, strict=True) if value is not None]
            for name, values in body.series.items()
        }
        self.curve_replaced.emit()


def _progressed(job: Job, progress: JobProgress) -> Job:
    """``job`` as of its newest gauge."""
    return msgspec.structs.replace(
        job,
        step=progress.step,
        steps=progress.steps,
        message=progress.message,
        seconds_left=progress.seconds_left,
        metrics=progress.metrics,
    )

"""Every job, newest first, with the log and the curve of the one that is looked at."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
from PySide6.QtCore import QObject, QTimer, Signal

from app.client import Client
from app.presenters.notice import from_error
from app.presenters.presenter import Presenter
from engine import messages
from engine.messages import Job, JobProgress, LogLine

__all__ = ["Activity", "ActivityState", "Curve"]

LIVE = ("queued", "running")
READ_MS = 500


@dataclass(frozen=True)
class Curve:
    """``series[name][i]`` was recorded at ``steps[i]``; None where it was not measured."""

    steps: tuple[int, ...] = ()
    series: dict[str, tuple[float | None, ...]] = field(default_factory=dict)

    def extended(self, more: messages.Metrics) -> Curve:
        """This curve and what came after its last step."""
        last = self.steps[-1] if self.steps else -1
        fresh = [i for i, step in enumerate(more.steps) if step > last]
        if not fresh:
            return self
        blank: tuple[float | None, ...] = (None,) * len(self.steps)
        nothing: tuple[float | None, ...] = (None,) * len(fresh)
        series = {
            name: self.series.get(name, blank)
            + (tuple(more.series[name][i] for i in fresh) if name in more.series else nothing)
            for name in [*self.series, *(name for name in more.series if name not in self.series)]
        }
        return Curve(self.steps + tuple(more.steps[i] for i in fresh), series)


@dataclass(frozen=True)
class ActivityState:
    """``chosen`` is a job's id or ""; ``log`` and ``curve`` are its. ``known`` once the list has come."""

    jobs: tuple[Job, ...] = ()
    known: bool = False
    chosen: str = ""
    log: tuple[LogLine, ...] = ()
    curve: Curve = Curve()

    @property
    def job(self) -> Job | None:
        return next((job for job in self.jobs if job.id == self.chosen), None)

    @property
    def running(self) -> Job | None:
        """The job the status line speaks of: the running one, else the next in the queue."""
        live = [job for job in self.jobs if job.state in LIVE]
        return next((job for job in live if job.state == "running"), live[-1] if live else None)


class Activity(Presenter[ActivityState]):
    """Follows all jobs. Signals: ``changed`` with each new state, ``noticed`` with a Notice."""

    noticed = Signal(object)

    def __init__(self, client: Client, parent: QObject | None = None) -> None:
        super().__init__(ActivityState(), parent)
        self._client = client
        self._reading = False
        # Gauges come up to 30 times a second; the log and the curve of one job are read at a calmer pace.
        self._reader = QTimer(self, interval=READ_MS, singleShot=True)
        self._reader.timeout.connect(self._read)
        client.welcomed.connect(self.refresh)
        client.happened.connect(self._on_event)
        client.gauge.connect(self._on_gauge)
        if client.engine.phase == "ready":
            self.refresh()

    def refresh(self) -> None:
        self._client.ask(messages.ListJobs(), self._list)

    def choose(self, job: str) -> None:
        """Look at one job: its log and its curve are read now and kept fresh while it lives."""
        if job != self.state.chosen:
            self._set(chosen=job, log=(), curve=Curve())
            self._read()

    def pause(self, job: str) -> None:
        self._steer(messages.PauseJob(id=job))

    def resume(self, job: str) -> None:
        self._steer(messages.ResumeJob(id=job))

    def keep(self, job: str) -> None:
        """Stop, and save what has been learned so far as the result."""
        self._steer(messages.CancelJob(id=job, keep=True))

    def cancel(self, job: str) -> None:
        self._steer(messages.CancelJob(id=job))

    def remove(self, job: str) -> None:
        self._steer(messages.RemoveJob(id=job))

    def _steer(self, request: messages.Request) -> None:
        self._client.ask(request, None, lambda error: self.noticed.emit(from_error(error)))

    def _list(self, answer: messages.Jobs) -> None:
        self._set(jobs=tuple(sorted(answer.jobs, key=lambda job: job.created, reverse=True)), known=True)
        self._read()

    def _on_event(self, event: object) -> None:
        match event:
            case messages.JobChanged(job=job):
                self._put(job)
            case messages.JobRemoved(id=gone):
                self._set(jobs=tuple(job for job in self.state.jobs if job.id != gone))
                if self.state.chosen == gone:
                    self._set(chosen="", log=(), curve=Curve())

    def _on_gauge(self, gauge: object) -> None:
        if not isinstance(gauge, JobProgress):
            return
        for job in self.state.jobs:
            # A gauge may overtake or outlive the event that ended its job; only a running job moves.
            if job.id == gauge.id and job.state == "running":
                self._put(
                    msgspec.structs.replace(
                        job,
                        step=gauge.step,
                        steps=gauge.steps,
                        message=gauge.message,
                        seconds_left=gauge.seconds_left,
                        metrics={**job.metrics, **gauge.metrics},
                        files=gauge.files or job.files,
                    )
                )

    def _put(self, job: Job) -> None:
        jobs = list(self.state.jobs)
        for row, known in enumerate(jobs):
            if known.id == job.id:
                jobs[row] = job
                break
        else:
            jobs.insert(0, job)
        self._set(jobs=tuple(jobs))
        if job.id == self.state.chosen and not self._reader.isActive():
            self._reader.start()

    def _read(self) -> None:
        job = self.state.chosen
        if not job or self._reading:
            return
        self._reading = True
        last = self.state.curve.steps[-1] if self.state.curve.steps else 0
        self._client.ask(messages.ReadLog(id=job), lambda log: self._logged(job, log), self._unread)
        self._client.ask(
            messages.ReadMetrics(id=job, since=last), lambda more: self._measured(job, more), self._unread
        )

    def _logged(self, job: str, log: messages.Log) -> None:
        if job == self.state.chosen:
            self._set(log=tuple(log.lines))

    def _measured(self, job: str, more: messages.Metrics) -> None:
        self._reading = False
        if job == self.state.chosen:
            self._set(curve=self.state.curve.extended(more))
        elif self.state.chosen:
            self._read()

    def _unread(self, error: messages.Error) -> None:
        self._reading = False
        # A job that was removed while it was being read has said so by its own event.
        if error.code not in ("missing", "crashed"):
            self.noticed.emit(from_error(error))

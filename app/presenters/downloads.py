"""What is being fetched from the Hub, and what has been: jobs of that kind, each with its speed so far."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal

from app.client import Client
from app.presenters.activity import Activity
from app.presenters.notice import from_error
from app.presenters.search import Room
from engine import messages
from engine.messages import Download, Error, Job

__all__ = ["Downloads", "Fetch"]

MOVING = ("queued", "running")
OPEN = (*MOVING, "paused", "failed", "held")
SAMPLES = 60
SAMPLE_S = 0.5


@dataclass(frozen=True)
class Fetch:
    """A download as a person follows it; ``speeds`` are bytes per second, twice a second, the newest last."""

    job: Job
    spec: Download
    speeds: tuple[float, ...] = ()


class Downloads(QObject):
    """``fetches`` are those that go on or wait for a person, and what ended since the window was opened, the
    newest first.

    Signals: ``changed``; ``noticed`` with a Notice; ``arrived(room, name)`` of each that has come in;
    ``wanted_arrived(name)`` of an adapter that was to go onto the desk once it is here.
    """

    changed = Signal()
    noticed = Signal(object)
    arrived = Signal(str, str)
    wanted_arrived = Signal(str)

    def __init__(
        self,
        client: Client,
        activity: Activity,
        parent: QObject | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(parent)
        self.fetches: tuple[Fetch, ...] = ()
        self._client = client
        self._activity = activity
        self._clock = clock
        self._dismissed: set[str] = set()
        self._for_desk: set[str] = set()
        self._sampled: dict[str, float] = {}
        activity.changed.connect(self._follow)
        self._follow()

    def start(
        self,
        repo: str,
        name: str,
        room: Room,
        revision: str = "main",
        *,
        replace: bool = False,
        for_desk: bool = False,
    ) -> str:
        """Fetch a repository into the library as ``name``. Returns the job's id."""
        job = uuid.uuid4().hex
        if for_desk:
            self._for_desk.add(job)
        spec = Download(repo=repo, out=name, room=room, revision=revision, replace=replace)
        self._client.ask(messages.SubmitJob(id=job, spec=spec), None, lambda error: self._refused(job, error))
        return job

    def of(self, repo: str) -> Fetch | None:
        """The download of a repository that goes on or waits."""
        return next((f for f in self.fetches if f.spec.repo == repo and f.job.state in OPEN), None)

    def pause(self, job: str) -> None:
        self._activity.pause(job)

    def resume(self, job: str) -> None:
        """Go on from the bytes that are here, also after a failure."""
        self._activity.resume(job)

    def cancel(self, job: str) -> None:
        self._activity.cancel(job)

    def dismiss(self, job: str) -> None:
        """Look at one that has ended no longer; the activity page keeps it."""
        self._dismissed.add(job)
        self._follow()

    def _follow(self) -> None:
        before = {fetch.job.id: fetch for fetch in self.fetches}
        after = []
        for job in self._activity.state.jobs:
            if job.state in MOVING:
                self._dismissed.discard(job.id)
            if isinstance(job.spec, Download) and job.id not in self._dismissed:
                fetch = before.get(job.id)
                if job.state in OPEN or fetch is not None:
                    after.append(Fetch(job, job.spec, self._speeds(job, fetch.speeds if fetch else ())))
        if tuple(after) == self.fetches:
            return
        self.fetches = tuple(after)
        self.changed.emit()
        for fetch in after:
            known = before.get(fetch.job.id)
            if known is not None and known.job.state != fetch.job.state:
                self._tell(fetch)

    def _speeds(self, job: Job, before: tuple[float, ...]) -> tuple[float, ...]:
        now = self._clock()
        if job.state != "running" or now - self._sampled.get(job.id, -SAMPLE_S) < SAMPLE_S:
            return before
        self._sampled[job.id] = now
        return (*before, job.metrics.get("speed", 0.0))[-SAMPLES:]

    def _tell(self, fetch: Fetch) -> None:
        job, spec = fetch.job, fetch.spec
        if job.state == "done":
            name = str(job.result.get("name", spec.out))
            self.arrived.emit(spec.room, name)
            if job.id in self._for_desk:
                self._for_desk.discard(job.id)
                self.wanted_arrived.emit(name)
        elif job.state == "cancelled":
            self._for_desk.discard(job.id)

    def _refused(self, job: str, error: Error) -> None:
        self._for_desk.discard(job)
        self.noticed.emit(from_error(error))

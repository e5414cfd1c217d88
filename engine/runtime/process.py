"""The runtime: holds one base, and gives every call that arrives its turn on it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

from engine.formats.errors import StudioError
from engine.messages import (
    Call,
    Cancel,
    Done,
    Failure,
    Generate,
    MeasureRanks,
    OrderRanks,
    Progress,
    Result,
    RuntimeReady,
    Score,
    Slide,
    StartJob,
    SteerJob,
    Work,
)
from engine.runtime.base import Base
from engine.runtime.failures import explain
from engine.runtime.jobs import JobRun
from engine.runtime.requests import perform
from engine.runtime.scheduler import Piece, Scheduler
from engine.runtime.slides import Slides
from engine.runtime.voices import Voices
from engine.wire import Wire

__all__ = ["Runtime"]

log = logging.getLogger(__name__)


class Runtime:
    """Answers calls until the process ends.

    StartJob is answered with Done as soon as the job has its place; everything after that is reports. A
    base that cannot be loaded is tried again at every call, which is refused with the reason: the process
    stays alive.
    """

    def __init__(self, wire: Wire, token: str, load: Callable[[], Base], name: str) -> None:
        self._wire = wire
        self._load = load
        self._scheduler = Scheduler()
        self._jobs: dict[str, JobRun] = {}
        self._slides = Slides()
        self._voices: Voices | None = None
        began = time.monotonic()
        device = "none"
        try:
            device = str(self._ready_voices().base.device)
        except Exception:
            log.exception("the base could not be loaded; it is tried again when it is needed")
        seconds = time.monotonic() - began
        wire.send(RuntimeReady(base=name, device=device, pid=os.getpid(), token=token, load_seconds=seconds))

    def serve(self) -> None:
        """Take calls and work on them, for ever."""
        while True:
            self.turn()

    def turn(self) -> None:
        """Take what has arrived, waiting if there is nothing else to do; then one turn of work."""
        self._listen(wait=not self._scheduler.busy)
        self._scheduler.turn(between=self._listen)
        self._wire.busy = self._scheduler.busy

    def _listen(self, wait: bool = False) -> None:
        for message in self._wire.received(wait):
            if isinstance(message, Cancel):
                self._cancel(message.id)
            else:
                self._take(message)
        self._wire.busy = self._scheduler.busy

    def _ready_voices(self) -> Voices:
        if self._voices is None:
            self._voices = Voices(self._load())
        return self._voices

    def _take(self, call: Call) -> None:
        try:
            match call.body:
                case Work(request=Slide() as slide):
                    self._slides.post(slide)
                    self._wire.send(Result(id=call.id, body=Done()))
                case Work() as work:
                    self._begin(call.id, work, self._ready_voices())
                case StartJob() as order:
                    self._start(order, self._ready_voices().base)
                    self._wire.send(Result(id=call.id, body=Done()))
                case SteerJob() as word:
                    self._steer(word)
                    self._wire.send(Result(id=call.id, body=Done()))
                case other:
                    raise StudioError("protocol", f"A runtime does not answer {type(other).__name__}.")
        except Exception as error:  # noqa: BLE001 - every call is answered
            self._fail(call.id, error)

    def _begin(self, id: str, work: Work, voices: Voices) -> None:
        steps = perform(work, voices, self._jobs, self._slides)
        if isinstance(work.request, Generate) and work.request.live:
            next(steps)  # from here on slides find it
        self._scheduler.add(
            Piece(
                id,
                "score" if isinstance(work.request, Score | MeasureRanks | OrderRanks) else "live",
                steps,
                said=lambda body: self._wire.send(Progress(id=id, body=body)),
                ended=lambda body: self._wire.send(Result(id=id, body=body)),
                failed=lambda error: self._fail(id, error),
            )
        )

    def _start(self, order: StartJob, base: Base) -> None:
        if order.id in self._jobs:
            raise StudioError("busy", "This job is already running here.", "Wait until it ends.")
        run = JobRun(base, order, self._wire.send)
        self._jobs[order.id] = run

        def over(_: object) -> None:
            del self._jobs[order.id]

        self._scheduler.add(Piece(order.id, "training", run.steps(), ended=over, failed=over))

    def _steer(self, word: SteerJob) -> None:
        run = self._jobs.get(word.id)
        if run is None or run.epoch != word.epoch:
            raise StudioError("missing", "This job does not run here any more.", "Look at its state.")
        run.mailbox.post(word.action)

    def _cancel(self, id: str) -> None:
        # A call that has ended was already answered.
        if self._scheduler.remove(id):
            self._fail(id, StudioError("cancelled", "Stopped."))

    def _fail(self, id: str, error: Exception) -> None:
        self._wire.send(Failure(id=id, error=explain(error)))

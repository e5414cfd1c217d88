"""The runtime: holds one base, and gives every call that arrives its turn on it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

from engine.messages import (
    Done,
    Generate,
    MeasureRanks,
    OrderRanks,
    Result,
    RuntimeReady,
    Score,
    Slide,
    StartJob,
    Work,
)
from engine.runtime.base import Base
from engine.runtime.base_jobs import BaseJob
from engine.runtime.requests import perform
from engine.runtime.slides import Slides
from engine.runtime.voices import Voices
from engine.runtime.worker import Worker
from engine.wire import Wire

__all__ = ["Runtime"]

log = logging.getLogger(__name__)


class Runtime(Worker[BaseJob]):
    """A worker on one base. One that cannot be loaded is tried again at every call, which is refused with the
    reason: the process stays alive."""

    def __init__(self, wire: Wire, token: str, load: Callable[[], Base], name: str) -> None:
        super().__init__(wire)
        self._load = load
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

    def answer(self, id: str, work: Work) -> None:
        if isinstance(work.request, Slide):
            self._slides.post(work.request)
            self.wire.send(Result(id=id, body=Done()))
            return
        steps = perform(work, self._ready_voices(), self.jobs, self._slides)
        if isinstance(work.request, Generate) and work.request.live:
            next(steps)  # from here on slides find it
        long = isinstance(work.request, Score | MeasureRanks | OrderRanks)
        self.begin(id, "score" if long else "live", steps)

    def job(self, order: StartJob) -> BaseJob:
        return BaseJob(self._ready_voices().base, order, self.wire.send)

    def _ready_voices(self) -> Voices:
        if self._voices is None:
            self._voices = Voices(self._load())
        return self._voices

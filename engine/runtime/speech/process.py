"""The speech runtime: clips are looked at and transcribed at once, and a training goes on between."""

from __future__ import annotations

import os
import time

import torch

from engine.messages import RuntimeReady, StartJob, Work
from engine.runtime.speech.aside import Aside
from engine.runtime.speech.jobs import SpeechJob
from engine.runtime.speech.opened import Opened
from engine.runtime.speech.requests import perform
from engine.runtime.worker import Worker
from engine.wire import Wire

__all__ = ["SpeechRuntime"]


class SpeechRuntime(Worker[SpeechJob]):
    """A worker on ``device`` ("auto": the GPU if there is one)."""

    def __init__(self, wire: Wire, token: str, device: str) -> None:
        super().__init__(wire)
        began = time.monotonic()
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._device = device
        self._opened = Opened(device)
        self._listening, self._looking = Aside("listening"), Aside("looking")
        wire.send(
            RuntimeReady(
                base="", device=device, pid=os.getpid(), token=token, load_seconds=time.monotonic() - began
            )
        )

    def answer(self, id: str, work: Work) -> None:
        self.begin(id, "live", perform(work, self._opened, self._listening, self._looking))

    def job(self, order: StartJob) -> SpeechJob:
        return SpeechJob(self._device, order, self.wire.send)

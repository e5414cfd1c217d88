"""The downloader: each download in a thread of its own, steered and reporting as the jobs of a runtime do."""

from __future__ import annotations

import os
import threading
import time

from engine.formats.errors import StudioError, unexpected
from engine.hub.download import DownloadRun
from engine.hub.session import open_session
from engine.messages import Call, Cancel, Done, Failure, Result, RuntimeReady, StartJob, SteerJob
from engine.wire import Wire

__all__ = ["Downloader"]

BUSY = "downloads"


class Downloader:
    """Takes orders until the process ends. How many run at once is for the supervisor to say."""

    def __init__(self, wire: Wire, token: str, began: float) -> None:
        self._wire = wire
        self._runs: dict[str, DownloadRun] = {}
        self._changing = threading.Lock()
        open_session()
        seconds = time.monotonic() - began
        ready = RuntimeReady(base="", device="none", pid=os.getpid(), token=token, load_seconds=seconds)
        wire.send(ready)

    def serve(self) -> None:
        """Take orders, for ever."""
        while True:
            for message in self._wire.received(wait=True):
                if isinstance(message, Cancel):
                    continue  # every call has been answered at once
                try:
                    self._take(message)
                    self._wire.send(Result(id=message.id, body=Done()))
                except StudioError as error:
                    self._wire.send(Failure(id=message.id, error=error.as_message()))
                except Exception as error:  # noqa: BLE001 - every call is answered
                    self._wire.send(Failure(id=message.id, error=unexpected(error).as_message()))

    def _take(self, call: Call) -> None:
        match call.body:
            case StartJob(id=job) as order:
                if job in self._runs:
                    raise StudioError("busy", "This download is already running here.", "Wait until it ends.")
                run = DownloadRun(order, self._wire.send)
                with self._changing:
                    self._runs[job] = run
                    self._wire.busy = BUSY
                threading.Thread(target=self._work, args=(run,), name=job, daemon=True).start()
            case SteerJob(id=job, epoch=epoch, action=action):
                at_work = self._runs.get(job)
                if at_work is None or at_work.epoch != epoch:
                    raise StudioError("missing", "This download does not run any more.", "Look at its state.")
                at_work.post(action)
            case other:
                raise StudioError("protocol", f"The downloader does not answer {type(other).__name__}.")

    def _work(self, run: DownloadRun) -> None:
        ended = run.run()
        with self._changing:
            del self._runs[run.id]
            self._wire.busy = BUSY if self._runs else ""
        self._wire.send(ended)  # last, as the job may be ordered anew at once

"""The window's way to a real engine: its process is watched, a new one joined, what was missed replayed."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QSocketNotifier, QTimer

from app.client import Client
from engine import messages
from engine.messages import Call, Error, Subscribe, Welcome

if TYPE_CHECKING:
    from app.launch import EngineProcess

__all__ = ["EngineClient"]

WATCH_MS = 100
SILENCE_S = 4.0
PATIENCE_S = 10.0
TURN_S = 0.005
TRIES = 3


class EngineClient(Client):
    """A Client over zmq; ``open`` begins, ``close`` leaves."""

    def __init__(self, process: EngineProcess, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._process = process
        self._socket: Any = None
        self._context: Any = None
        self._notifier: QSocketNotifier | None = None
        self._address = ""
        self._tries = 0
        self._heard = 0.0
        self._pinged = 0.0
        self._watch = QTimer(self, interval=WATCH_MS)
        self._watch.timeout.connect(self._look)

    def open(self) -> None:
        """Begin to look for the engine, and keep looking."""
        self._watch.start()
        self._look()

    def restart(self) -> None:
        self._tries = 0
        self._set(phase="starting", sentence="Starting the engine", hint="", detail="")
        self._process.start()

    def close(self) -> None:
        """Leave. An engine that nobody detached ends by itself soon after its last client and job."""
        self._watch.stop()
        self._disconnect()
        if self._context is not None:
            self._context.term()
            self._context = None

    def _look(self) -> None:
        if self.engine.phase == "stopped":
            return
        found = self._process.find()
        if found is None:
            self._missing()
        elif self._socket is None:
            self._connect(*found)
        elif found != (self.engine.pid, self._address) and self.engine.phase in ("ready", "silent"):
            self._lost()
        else:
            self._listen_for_silence()

    def _missing(self) -> None:
        if self._socket is not None:
            self._lost()
        if self._process.starting():
            return
        if self._tries >= TRIES:
            sentence, hint, detail = self._process.refusal()
            self._set(phase="stopped", sentence=sentence, hint=hint, detail=detail)
            self._fail_all(self._stopped())
            return
        self._tries += 1
        self._process.start()

    def _lost(self) -> None:
        self._disconnect()
        self._lose(
            Error(
                code="crashed",
                message="The engine stopped before it could answer.",
                hint="It is being started again; repeat the request when it is ready.",
                detail=self._process.refusal()[2],
            )
        )

    def _listen_for_silence(self) -> None:
        quiet = time.monotonic() - self._heard
        if self.engine.phase == "ready" and quiet > PATIENCE_S:
            self._set(phase="silent", sentence="The engine is not answering")
        elif quiet > SILENCE_S and time.monotonic() - self._pinged > SILENCE_S:
            self._pinged = time.monotonic()
            self._carry(Call(id=uuid.uuid4().hex, body=messages.Status()))

    def _connect(self, pid: int, address: str) -> None:
        import zmq  # after the first paint

        if self._context is None:
            self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 500
        self._socket.sndhwm = self._socket.rcvhwm = 0
        self._socket.connect(address)
        self._address = address
        self._heard = time.monotonic()
        self._set(pid=pid)
        self._notifier = QSocketNotifier(self._socket.getsockopt(zmq.FD), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._drain)
        self._carry(Subscribe(since=self._last_event))

    def _disconnect(self) -> None:
        if self._notifier is not None:
            self._notifier.setEnabled(False)
            self._notifier.deleteLater()
            self._notifier = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _carry(self, message: messages.Upward) -> None:
        self._socket.send(messages.encode(message))
        # zmq's descriptor tells of changes only, and sending may swallow one: look again from the event loop.
        QTimer.singleShot(0, self, self._drain)

    def _drain(self) -> None:
        """Take everything that has arrived, giving the window a turn every few milliseconds."""
        import zmq

        end = time.monotonic() + TURN_S
        while self._socket is not None:
            try:
                frame = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._heard = time.monotonic()
            if self.engine.phase == "silent":
                self._set(phase="ready", sentence="Engine ready")
            self._deliver(messages.decode_downward(frame))
            if time.monotonic() > end:
                QTimer.singleShot(0, self, self._drain)
                return

    def _welcome(self, welcome: Welcome) -> None:
        self._tries = 0
        super()._welcome(welcome)

"""Requests out, Qt signals in: the window's only door to the engine. Never blocks.

``Client`` is the seam: presenters know nothing else. ``EngineClient`` carries it over zmq; tests bring
another carrier. Callbacks always come from the event loop, never from inside ``ask``.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from PySide6.QtCore import QObject, QSocketNotifier, QTimer, Signal

from engine import messages
from engine.messages import Call, Cancel, Error, Event, Failure, Gauge, Progress, Result, Subscribe, Welcome

if TYPE_CHECKING:
    from app.launch import EngineProcess

__all__ = ["Client", "Engine", "EngineClient"]

Phase = Literal["starting", "ready", "silent", "lost", "stopped"]

WATCH_MS = 100
SILENCE_S = 4.0
PATIENCE_S = 10.0
TURN_S = 0.005
TRIES = 3


@dataclass(frozen=True)
class Engine:
    """What the window knows of the engine. Memory in bytes; ``sentence`` is for people."""

    phase: Phase = "starting"
    sentence: str = "Starting the engine"
    hint: str = ""
    detail: str = ""
    pid: int = 0
    version: str = ""
    memory: int = 0
    memory_total: int = 0
    runtimes: tuple[messages.RuntimeCard, ...] = ()


@dataclass
class Pending:
    done: Callable[[Any], None] | None
    failed: Callable[[Error], None] | None
    progress: Callable[[Any], None] | None


class Client(QObject):
    """Book-keeping of requests, events and the engine's state; a subclass carries the messages.

    Signals: ``welcomed`` after every (re)connection, when lists should be asked for again; ``happened`` with
    the body of each durable event, in order and once; ``gauge`` with the newest figures; ``engine_changed``;
    ``failed`` with the Error of a request that nobody else listens to.
    """

    welcomed = Signal()
    happened = Signal(object)
    gauge = Signal(object)
    engine_changed = Signal()
    failed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.engine = Engine()
        self._pending: dict[str, Pending] = {}
        self._outbox: list[messages.Upward] = []
        self._last_event = -1

    def ask(
        self,
        request: messages.Request,
        done: Callable[[Any], None] | None = None,
        failed: Callable[[Error], None] | None = None,
        progress: Callable[[Any], None] | None = None,
    ) -> str:
        """Send a request; exactly one of ``done`` and ``failed`` is called later. Returns the call's id.

        While the engine is starting the request waits; when the engine dies after it was sent, it fails.
        """
        call = Call(id=uuid.uuid4().hex, body=request)
        self._pending[call.id] = Pending(done, failed, progress)
        self._post(call)
        return call.id

    def cancel(self, call: str) -> None:
        """Give up a request. It is still answered, usually by ``failed`` with the code "cancelled"."""
        if call in self._pending:
            self._post(Cancel(id=call))

    def restart(self) -> None:
        """Try again after the engine was given up."""
        raise NotImplementedError

    def _post(self, message: messages.Upward) -> None:
        if self.engine.phase in ("ready", "silent"):
            self._carry(message)
        elif self.engine.phase == "stopped" and isinstance(message, Call):
            QTimer.singleShot(0, self, lambda: self._fail(message.id, self._stopped()))
        else:
            self._outbox.append(message)

    def _carry(self, message: messages.Upward) -> None:
        raise NotImplementedError

    def _deliver(self, message: messages.Downward) -> None:
        """Hand one message from the engine to whom it concerns."""
        match message:
            case Progress(id=call, body=body):
                pending = self._pending.get(call)
                if pending and pending.progress:
                    pending.progress(body)
            case Result(id=call, body=body):
                pending = self._pending.pop(call, None)
                if pending and pending.done:
                    pending.done(body)
            case Failure(id=call, error=error):
                self._fail(call, error)
            case Event(number=number, body=body):
                if number > self._last_event:
                    self._last_event = number
                    self._note(body)
                    self.happened.emit(body)
            case Gauge(body=body):
                self._note(body)
                self.gauge.emit(body)
            case Welcome():
                self._welcome(message)

    def _welcome(self, welcome: Welcome) -> None:
        if welcome.protocol != messages.PROTOCOL:
            self._set(
                phase="stopped",
                sentence="The engine is of another version than this window.",
                hint="Stop it with `adapter-studio engine stop`, then open the window again.",
            )
            self._fail_all(self._stopped())
            return
        if self._last_event < 0 or welcome.last < self._last_event:
            self._last_event = welcome.last
        self._set(
            phase="ready",
            sentence="Engine ready",
            hint="",
            detail="",
            pid=welcome.pid,
            version=welcome.version,
        )
        waiting, self._outbox = self._outbox, []
        for message in waiting:
            self._carry(message)
        self.welcomed.emit()

    def _note(self, body: object) -> None:
        match body:
            case messages.Load(memory=memory, memory_total=total, runtimes=runtimes):
                self._set(memory=memory, memory_total=total, runtimes=tuple(runtimes))
            case messages.EngineChanged(runtimes=runtimes):
                self._set(runtimes=tuple(runtimes))

    def _set(self, **changes: Any) -> None:
        engine = replace(self.engine, **changes)
        if engine != self.engine:
            self.engine = engine
            self.engine_changed.emit()

    def _fail(self, call: str, error: Error) -> None:
        pending = self._pending.pop(call, None)
        if pending is None:
            return
        if pending.failed:
            pending.failed(error)
        elif error.code != "cancelled":
            self.failed.emit(error)

    def _fail_all(self, error: Error) -> None:
        self._outbox.clear()
        for call in list(self._pending):
            self._fail(call, error)

    def _lose(self, error: Error) -> None:
        """The engine is gone: what was sent fails, what still waits goes to the next one."""
        waiting = {message.id for message in self._outbox if isinstance(message, Call)}
        self._set(phase="lost", sentence="The engine stopped; starting it again", runtimes=(), memory=0)
        for call in [call for call in self._pending if call not in waiting]:
            self._fail(call, error)

    def _stopped(self) -> Error:
        return Error(
            code="crashed",
            message=self.engine.sentence,
            hint=self.engine.hint,
            detail=self.engine.detail,
        )


class EngineClient(Client):
    """Talks to a real engine: watches its process, reconnects to a new one, replays the events missed."""

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

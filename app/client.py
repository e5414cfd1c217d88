"""Requests out, Qt signals in: the window's only door to the engine. Never blocks.

``Client`` is the seam: presenters know nothing else. ``app.engine_client`` carries it over zmq; tests bring
another carrier. Callbacks always come from the event loop, never from inside ``ask``.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from PySide6.QtCore import QObject, QTimer, Signal

from engine import messages
from engine.messages import Call, Cancel, Error, Event, Failure, Gauge, Progress, Result, Welcome

__all__ = ["Client", "Engine"]

Phase = Literal["starting", "ready", "silent", "lost", "stopped"]


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

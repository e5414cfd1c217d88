"""A client whose engine is a script: replies, progress, failures, deaths. Every message crosses the codec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QTimer

from app.client import Client
from engine import messages
from engine.messages import Call, Cancel, Error, Event, Failure, Gauge, Progress, Result, Welcome

Reply = Any  # a Body, an Error, or a list of Bodies of which all but the last are progress

EMPTY: dict[type, Reply] = {
    messages.ListAdapters: messages.Adapters(adapters=[]),
    messages.ListBases: messages.Bases(bases=[]),
    messages.ListMixes: messages.Mixes(mixes=[]),
    messages.ListData: messages.DataSets(sets=[]),
    messages.ListJobs: messages.Jobs(jobs=[]),
    messages.RunDoctor: messages.Doctor(checks=[]),
    messages.ReadLog: messages.Log(lines=[]),
    messages.Status: messages.EngineStatus(
        running=True, pid=1, protocol=messages.PROTOCOL, version="0", home="", detached=False, runtimes=[]
    ),
}


class FakeClient(Client):
    """``script[type]`` is a reply or a function of the request; ``silent`` requests stay open.

    Attributes: ``asked`` (every request, in order), ``script``, ``silent``, ``delay_ms``.
    """

    def __init__(self, script: dict[type, Reply | Callable[[Any], Reply]] | None = None) -> None:
        super().__init__()
        self.script = EMPTY | (script or {})
        self.asked: list[Any] = []
        self.silent: set[type] = set()
        self.delay_ms = 0
        self._open: dict[str, Any] = {}
        self._number = 0
        self.restarts = 0

    def welcome(self, *, run: str = "first", protocol: int = messages.PROTOCOL) -> None:
        """The engine is there."""
        self._receive(Welcome(protocol=protocol, pid=1, version="0.1.0", run=run, last=self._number))

    def tell(self, body: messages.EventBody, number: int | None = None) -> None:
        """A durable event, with the next number unless one is given."""
        self._number = number if number is not None else self._number + 1
        self._receive(Event(number=self._number, body=body))

    def measure(self, body: messages.GaugeBody) -> None:
        self._receive(Gauge(body=body))

    def die(self) -> None:
        """The engine stops before it could answer."""
        self._open.clear()
        self._lose(Error(code="crashed", message="The engine stopped before it could answer."))

    def restart(self) -> None:
        self.restarts += 1

    def answer(self, kind: type, reply: Reply) -> None:
        """Answer the oldest open request of a kind that was left silent."""
        call = next(id_ for id_, request in self._open.items() if isinstance(request, kind))
        del self._open[call]
        self._reply(call, reply)

    def requests(self, kind: type) -> list[Any]:
        return [request for request in self.asked if isinstance(request, kind)]

    def _carry(self, message: messages.Upward) -> None:
        message = messages.decode_upward(messages.encode(message))
        if isinstance(message, Cancel):
            if self._open.pop(message.id, None) is not None:
                self._later(Failure(id=message.id, error=Error(code="cancelled", message="Cancelled.")))
        elif isinstance(message, Call):
            self.asked.append(message.body)
            if type(message.body) in self.silent:
                self._open[message.id] = message.body
                return
            reply = self.script.get(type(message.body), messages.Done())
            self._reply(message.id, reply(message.body) if callable(reply) else reply)

    def _reply(self, call: str, reply: Reply) -> None:
        *progress, last = reply if isinstance(reply, list) else [reply]
        for body in progress:
            self._later(Progress(id=call, body=body))
        end = Failure(id=call, error=last) if isinstance(last, Error) else Result(id=call, body=last)
        self._later(end)

    def _later(self, message: messages.Downward) -> None:
        QTimer.singleShot(self.delay_ms, self, lambda: self._receive(message))

    def _receive(self, message: messages.Downward) -> None:
        self._deliver(messages.decode_downward(messages.encode(message)))

"""A scripted client that answers by itself, and whose every message crosses the wire's codec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QTimer

from app.client import Engine
from engine import messages
from engine.messages import Call, Cancel, Error, Failure, Progress, Result, Welcome
from tests.app.scripted_client import ScriptedClient

Reply = Any
"""A Body, an Error, a list of Bodies of which all but the last are progress, or a function of the request."""

EMPTY: dict[type, Reply] = {
    messages.ListAdapters: messages.Adapters(adapters=[]),
    messages.ListBases: messages.Bases(bases=[]),
    messages.ListMixes: messages.Mixes(mixes=[]),
    messages.ListData: messages.DataSets(sets=[]),
    messages.ListJobs: messages.Jobs(jobs=[]),
    messages.ListSpeech: messages.SpeechModels(models=[], examples=[], clips=""),
    messages.RunDoctor: messages.Doctor(checks=[]),
    messages.SearchHub: messages.HubPage(repos=[]),
    messages.JudgeHub: messages.HubVerdicts(verdicts=[]),
    messages.JudgeAdapters: messages.Fits(fits={}),
    messages.AskAccount: messages.Account(endpoint="https://huggingface.co"),
    messages.SignOut: messages.Account(endpoint="https://huggingface.co"),
    messages.MeasureDisk: messages.DiskUse(items=[], free=84_000_000_000, total=200_000_000_000),
    messages.FindUses: messages.Uses(),
    messages.ReadLog: messages.Log(lines=[]),
    messages.ReadMetrics: lambda request: messages.Metrics(id=request.id, steps=[], series={}),
    messages.Status: messages.EngineStatus(
        running=True, pid=1, protocol=messages.PROTOCOL, version="0", home="", detached=False, runtimes=[]
    ),
}


class FakeClient(ScriptedClient):
    """Starts without an engine; ``welcome`` brings one, ``die`` takes it away.

    Attributes: ``script`` (replies by type of request), ``silent`` (types that stay open until ``answer``),
    ``delay_ms``, ``restarts``.
    """

    def __init__(self, script: dict[type, Reply | Callable[[Any], Reply]] | None = None) -> None:
        super().__init__()
        self.engine = Engine()
        self.script = EMPTY | (script or {})
        self.silent: set[type] = set()
        self.delay_ms = 0
        self.restarts = 0
        self._is_away = False

    def welcome(self, *, protocol: int = messages.PROTOCOL) -> None:
        """An engine is there."""
        self.deliver(Welcome(protocol=protocol, pid=1, version="0.1.0", run="1", last=self._number))

    def die(self) -> None:
        """The engine stops before it could answer."""
        self._lose(Error(code="crashed", message="The engine stopped before it could answer."))

    def give_up(self, sentence: str) -> None:
        """No engine can be started any more."""
        self._set(phase="stopped", sentence=sentence, hint="Free some space.")
        self._fail_all(self._stopped())

    def restart(self) -> None:
        self.restarts += 1

    def hang_up(self) -> None:
        """Whoever asked is going: nothing reaches anybody any more."""
        self._is_away = True

    @property
    def is_quiet(self) -> bool:
        """Whether everything asked has been answered that does so by itself."""
        return not any(call.id in self._pending and type(call.body) not in self.silent for call in self.calls)

    def requests(self, kind: type) -> list[Any]:
        """Every request of a kind so far, answered or not."""
        return [call.body for call in self.calls if isinstance(call.body, kind)]

    def deliver(self, message: messages.Downward) -> None:
        if self._is_away:
            return
        super().deliver(messages.decode_downward(messages.encode(message)))

    def _carry(self, message: messages.Upward) -> None:
        message = messages.decode_upward(messages.encode(message))
        super()._carry(message)
        if isinstance(message, Cancel):
            self._later(Failure(id=message.id, error=Error(code="cancelled", message="Cancelled.")))
        elif isinstance(message, Call) and type(message.body) not in self.silent:
            reply = self.script.get(type(message.body), messages.Done())
            self._reply(message.id, reply(message.body) if callable(reply) else reply)

    def _reply(self, call: str, reply: Reply) -> None:
        *progress, last = reply if isinstance(reply, list) else [reply]
        for body in progress:
            self._later(Progress(id=call, body=body))
        ended = Failure(id=call, error=last) if isinstance(last, Error) else Result(id=call, body=last)
        self._later(ended)

    def _later(self, message: messages.Downward) -> None:
        QTimer.singleShot(self.delay_ms, self, lambda: self.deliver(message))

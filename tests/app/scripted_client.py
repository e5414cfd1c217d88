"""A client whose engine is a script: requests are recorded, a test answers them one by one."""

from __future__ import annotations

from dataclasses import replace

from app.client import Client
from engine.messages import (
    PROTOCOL,
    AdapterCard,
    Call,
    Cancel,
    DataSet,
    Downward,
    Error,
    Event,
    Failure,
    Gauge,
    MixCard,
    Progress,
    Result,
    Upward,
    Welcome,
)

BASE = "starter-llama"


class ScriptedClient(Client):
    """``calls`` in the order asked; ``answer``, ``fail`` and ``progress`` reply to one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = replace(self.engine, phase="ready")
        self.calls: list[Call] = []
        self.cancelled: list[str] = []
        self._number = 0

    def _carry(self, message: Upward) -> None:
        if isinstance(message, Call):
            self.calls.append(message)
        elif isinstance(message, Cancel):
            self.cancelled.append(message.id)

    def asked(self, kind: type) -> list[Call]:
        """The calls of one kind that are still unanswered, oldest first."""
        return [call for call in self.calls if isinstance(call.body, kind) and call.id in self._pending]

    def last(self, kind: type) -> Call:
        return self.asked(kind)[-1]

    def answer(self, call: Call, body: object) -> None:
        self._deliver(Result(id=call.id, body=body))

    def answer_all(self, kind: type, body: object) -> None:
        for call in self.asked(kind):
            self.answer(call, body)

    def fail(self, call: Call, code: str, message: str = "It failed.", hint: str = "Try again.") -> None:
        self._deliver(Failure(id=call.id, error=Error(code=code, message=message, hint=hint)))

    def die(self) -> None:
        """The engine dies over all that it was asked."""
        self._lose(Error(code="crashed", message="The engine stopped.", hint="It starts again."))

    def come_back(self) -> None:
        """There is another engine."""
        self._deliver(Welcome(protocol=PROTOCOL, pid=2, version="0.1.0", run="2", last=self._number))

    def progress(self, call: Call, body: object) -> None:
        self._deliver(Progress(id=call.id, body=body))

    def tell(self, body: object) -> None:
        self._number += 1
        self._deliver(Event(number=self._number, body=body))

    def measure(self, body: object) -> None:
        self._deliver(Gauge(body=body))

    def deliver(self, message: Downward) -> None:
        self._deliver(message)


def adapter(name: str, base: str = BASE, rank: int = 8, kind: str = "lora") -> AdapterCard:
    return AdapterCard(
        name=name,
        path=f"adapters/{name}",
        base=base,
        kind=kind,
        rank=rank,
        alpha=16.0,
        targets=["q_proj"],
        tensors=2,
        bytes=1000,
        source="starter",
        description=f"does {name}",
    )


def mix(name: str, experts: list[str], usage: dict[str, float] | None = None) -> MixCard:
    return MixCard(
        name=name,
        path=f"mixes/{name}",
        base=BASE,
        experts=experts,
        router_input="context",
        router_parameters=1000,
        usage=usage or {},
    )


def data_set(name: str, rows: int = 2000) -> DataSet:
    sample = [("reverse: planet", "tenalp"), ("sort: planet", "aelnpt"), ("plural: planet", "planets")]
    return DataSet(name=name, path=f"data/{name}.jsonl", rows=rows, sha256="0" * 64, sample=sample)

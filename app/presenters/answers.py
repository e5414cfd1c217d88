"""Answers side by side: one streaming request per pane, and no pane ever shows a token of a stale one.

Every pane counts its questions. A reply carries the number of the question it belongs to; a reply to an older
question is dropped. While a new question waits for its first token, the old answer stays, marked stale.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import msgspec
from PySide6.QtCore import QObject, Signal

from app.client import Client
from engine.messages import Body, Error, Generate, Generated, Routing, Token

__all__ = ["BASE", "MIX", "Answer", "Answers", "Spoken", "expert_pane"]

BASE = "base"
MIX = "mix"


def expert_pane(adapter: str) -> str:
    """The pane of one expert alone; prefixed, so that an adapter may be called "mix"."""
    return f"expert:{adapter}"


@dataclass(frozen=True)
class Spoken:
    """One token; ``leader`` is its loudest expert (-1: unknown), ``certainty`` the gate of that one."""

    text: str
    leader: int = -1
    certainty: float = 0.0


@dataclass
class Answer:
    """What one pane shows. ``stale``: the tokens belong to the question before the one now waiting."""

    state: Literal["idle", "waiting", "streaming", "done", "failed"] = "idle"
    tokens: list[Spoken] = field(default_factory=list)
    stale: bool = False
    error: Error | None = None
    speed: float = 0.0
    first_token_seconds: float = 0.0
    prompt_tokens: int = 0
    routing: Routing | None = None
    sums: list[float] = field(default_factory=list)

    @property
    def usage(self) -> dict[str, float]:
        """The mean gate of every expert over all tokens and modules heard so far: the share they had."""
        if self.routing is None or not self.routing.gates:
            return {}
        heard = len(self.routing.gates)
        return {name: total / heard for name, total in zip(self.routing.experts, self.sums, strict=True)}

    @property
    def text(self) -> str:
        return "".join(token.text for token in self.tokens)


def means(gates: list[list[float]]) -> list[float]:
    """Each expert's gate over all modules of one token, from ``gates[module][expert]``."""
    return [sum(column) / len(gates) for column in zip(*gates, strict=True)]


class Answers(QObject):
    """The panes of the score. Signals carry the pane's key.

    ``started``: a new answer is about to replace what the pane shows; ``spoke(pane, Spoken)``: one token was
    appended; ``heard``: its routing began, grew or is whole; ``changed``: anything else about the pane.
    """

    started = Signal(str)
    spoke = Signal(str, object)
    heard = Signal(str)
    changed = Signal(str)

    def __init__(self, client: Client, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._client = client
        self._panes: dict[str, Answer] = {}
        self._generation: dict[str, int] = {}
        self._calls: dict[str, str] = {}

    def answer(self, pane: str) -> Answer:
        return self._panes.setdefault(pane, Answer())

    @property
    def busy(self) -> bool:
        return bool(self._calls)

    def ask(self, pane: str, request: Generate) -> None:
        """Put a question to ``pane``; the one before is cancelled and whatever it still says dropped."""
        generation = self._next(pane)
        answer = self.answer(pane)
        answer.state, answer.stale, answer.error = "waiting", bool(answer.tokens), None
        self.changed.emit(pane)

        def is_stale() -> bool:
            return self._generation[pane] != generation

        def on_progress(body: Body) -> None:
            if is_stale():
                return
            if isinstance(body, Token):
                self._append(pane, body)
            elif isinstance(body, Routing):
                self._hear(pane, body)

        def on_result(body: Body) -> None:
            if isinstance(body, Generated) and not is_stale():
                self._finish(pane, body)

        def on_failure(error: Error) -> None:
            if not is_stale():
                self._fail(pane, error)

        self._calls[pane] = self._client.ask(request, on_result, on_failure, on_progress)

    def stop(self, pane: str) -> None:
        """Give up the question; what has been said so far stays."""
        if pane in self._calls:
            self._next(pane)
            answer = self.answer(pane)
            answer.state, answer.stale = "done", False
            self.changed.emit(pane)

    def clear(self, pane: str) -> None:
        self._next(pane)
        self._panes[pane] = Answer()
        self.changed.emit(pane)

    def _next(self, pane: str) -> int:
        call = self._calls.pop(pane, None)
        if call is not None:
            self._client.cancel(call)
        self._generation[pane] = self._generation.get(pane, 0) + 1
        return self._generation[pane]

    def _begin(self, pane: str) -> Answer:
        answer = self.answer(pane)
        if answer.state == "waiting":
            answer.state, answer.stale, answer.tokens, answer.routing = "streaming", False, [], None
            self.started.emit(pane)
        return answer

    def _hear(self, pane: str, prompt: Routing) -> None:
        answer = self._begin(pane)
        answer.prompt_tokens = len(prompt.tokens)
        self._route(pane, prompt)

    def _route(self, pane: str, routing: Routing) -> None:
        answer = self.answer(pane)
        answer.routing = routing
        answer.sums = [sum(column) for column in zip(*map(means, routing.gates), strict=True)]
        self.heard.emit(pane)

    def _append(self, pane: str, token: Token) -> None:
        answer = self._begin(pane)
        shares = means(token.gates or [])
        leader = max(range(len(shares)), key=shares.__getitem__, default=-1)
        answer.tokens.append(Spoken(token.text, leader, max(shares, default=0.0)))
        self.spoke.emit(pane, answer.tokens[-1])
        if token.gates and answer.routing is not None:
            answer.routing = msgspec.structs.replace(
                answer.routing,
                tokens=[*answer.routing.tokens, token.text],
                gates=[*answer.routing.gates, token.gates],
            )
            answer.sums = [total + share for total, share in zip(answer.sums, shares, strict=True)]
            self.heard.emit(pane)

    def _finish(self, pane: str, generated: Generated) -> None:
        answer = self._begin(pane)
        self._calls.pop(pane, None)
        if not answer.tokens and generated.text:
            answer.tokens.append(Spoken(generated.text))
            self.spoke.emit(pane, answer.tokens[-1])
        answer.state = "done"
        answer.speed = generated.tokens_per_second
        answer.first_token_seconds = generated.first_token_seconds
        answer.prompt_tokens = generated.prompt_tokens
        if generated.routing is not None:
            self._route(pane, generated.routing)
        self.changed.emit(pane)

    def _fail(self, pane: str, error: Error) -> None:
        self._calls.pop(pane, None)
        answer = self.answer(pane)
        answer.state, answer.stale, answer.tokens, answer.error = "failed", False, [], error
        self.changed.emit(pane)

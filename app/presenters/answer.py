"""What one pane shows: an answer as it comes, token by token, and which expert led each of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from msgspec.structs import replace

from engine.messages import Error, Generated, Routing, Token

__all__ = ["Answer", "Spoken"]


@dataclass(frozen=True)
class Spoken:
    """One token; ``leader`` is its loudest expert (-1: unknown), ``certainty`` the gate of that one."""

    text: str
    leader: int = -1
    certainty: float = 0.0


@dataclass
class Answer:
    """``stale``: the tokens belong to the question before the one now waiting."""

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
    def is_cut_off(self) -> bool:
        """Whether an engine died over the question."""
        return self.error is not None and self.error.code == "crashed"

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

    # what happens to it

    def wait(self) -> None:
        """A question was asked; what was said before it stays readable."""
        self.state, self.stale, self.error = "waiting", bool(self.tokens), None

    def begin(self) -> None:
        """The first of it is here."""
        self.state, self.stale, self.tokens, self.routing = "streaming", False, [], None

    def append(self, token: Token) -> None:
        """One token more, with its gates where they are recorded."""
        shares = _means(token.gates or [])
        leader = max(range(len(shares)), key=shares.__getitem__, default=-1)
        self.tokens.append(Spoken(token.text, leader, max(shares, default=0.0)))
        if token.gates and self.routing is not None:
            tokens, gates = [*self.routing.tokens, token.text], [*self.routing.gates, token.gates]
            self.routing = replace(self.routing, tokens=tokens, gates=gates)
            self.sums = [total + share for total, share in zip(self.sums, shares, strict=True)]

    def route(self, routing: Routing) -> None:
        """All gates so far: of the prompt as it begins, of everything at the end."""
        self.routing = routing
        self.sums = [sum(column) for column in zip(*map(_means, routing.gates), strict=True)]

    def end(self, generated: Generated) -> None:
        """It is said; a voice that did not stream says all of it now."""
        if not self.tokens and generated.text:
            self.tokens.append(Spoken(generated.text))
        self.state = "done"
        self.speed = generated.tokens_per_second
        self.first_token_seconds = generated.first_token_seconds
        self.prompt_tokens = generated.prompt_tokens

    def stop(self) -> None:
        """Nothing more is awaited; what has been said stays."""
        self.state, self.stale = "done", False

    def fail(self, error: Error) -> None:
        """There is no answer."""
        self.state, self.stale, self.tokens, self.error = "failed", False, [], error


def _means(gates: list[list[float]]) -> list[float]:
    """Each expert's gate over all modules of one token, from ``gates[module][expert]``."""
    return [sum(column) / len(gates) for column in zip(*gates, strict=True)]

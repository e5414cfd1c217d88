"""Who works next on the one model: live answers first, then scores, and training never quite stops.

Every piece of work is a generator that yields often. In a turn, all live answers advance together, token by
token, for as long as the last training step took (one round at least); a score advances when nobody waits
for an answer; then training makes one micro-step. So a prompt waits for one micro-step at most, and
training keeps half of the time.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Kind", "Piece", "Scheduler"]

Kind = Literal["live", "score", "training"]


@dataclass(eq=False)
class Piece:
    """Some work. ``said`` gets what it yields, ``ended`` its return value, ``failed`` its exception."""

    id: str
    kind: Kind
    steps: Generator[Any, None, Any]
    ended: Callable[[Any], None]
    failed: Callable[[Exception], None]
    said: Callable[[Any], None] = lambda _: None


class Scheduler:
    """Lets pieces of work take turns in one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pieces: dict[Kind, deque[Piece]] = {"live": deque(), "score": deque(), "training": deque()}
        self._training_seconds = 0.0

    @property
    def busy(self) -> str:
        """What is being done, in a word; "" when nothing."""
        return next((kind for kind, pieces in reversed(self._pieces.items()) if pieces), "")

    def add(self, piece: Piece) -> None:
        self._pieces[piece.kind].append(piece)

    def remove(self, id: str) -> Piece | None:
        """Stop a piece between two of its steps; None when it has already ended."""
        for pieces in self._pieces.values():
            for piece in pieces:
                if piece.id == id:
                    pieces.remove(piece)
                    piece.steps.close()
                    return piece
        return None

    def turn(self, between: Callable[[], None] = lambda: None) -> None:
        """One turn, as described above. Does nothing when there is no work. ``between`` is done between two
        rounds of live answers: whoever slides one is not to wait for the training."""
        began = self._clock()
        live, training = self._pieces["live"], self._pieces["training"]
        if live:
            self._round(live)
            while live and training and self._clock() - began < self._training_seconds:
                between()
                self._round(live)
        else:
            self._next(self._pieces["score"])
        if training:
            began = self._clock()
            self._next(training)
            self._training_seconds = self._clock() - began

    def _round(self, pieces: deque[Piece]) -> None:
        for _ in range(len(pieces)):
            self._next(pieces)

    def _next(self, pieces: deque[Piece]) -> None:
        """Let the first piece make a step, and put it last."""
        if not pieces:
            return
        piece = pieces.popleft()
        try:
            said = next(piece.steps)
        except StopIteration as end:
            piece.ended(end.value)
        except Exception as error:  # noqa: BLE001 - whatever a piece of work raises is its answer, not our end
            piece.failed(error)
        else:
            pieces.append(piece)
            if said is not None:
                piece.said(said)

"""Where somebody speaks: an energy gate over a floor that learns the room, with hang-over."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy

from app.capture.microphone import Sound

__all__ = ["Began", "Ceased", "Phrases"]

HOP = 0.01
ABOVE, QUIETEST = 9.0, -55.0
"""Decibels above the floor, and at least so many of full scale, at which it may be speech."""
SURE = 6
"""Loud hops among the last ten before somebody speaks; a click has fewer."""
WINDOW = 10
HANG_OVER = 0.35
"""Seconds of a pause before the stretch ends; what is reported half a second after the pause begins."""
SHORTEST = 0.25
"""Seconds of loud hops that are worth a caption."""
LONG, BREATH = 15.0, 0.06
"""Where a stretch grows longer than the first, a pause of the second is enough to cut it."""
LONGEST = 20.0
"""It is cut there in any case: by then it may be a machine."""
ROOM = 500
"""Hops (5 s) whose quietest tenth is the floor."""


@dataclass(frozen=True)
class Began:
    """Somebody speaks since sample ``start``."""

    start: int


@dataclass(frozen=True)
class Ceased:
    """The stretch ended at sample ``end``. ``worth``: it was long enough to be words."""

    end: int
    worth: bool


class Phrases:
    """Takes the samples of a microphone in order and says when somebody begins and ceases to speak."""

    def __init__(self, rate: int, first: int) -> None:
        self._hop = round(rate * HOP)
        self._rest = numpy.zeros(0, numpy.float32)
        self._at = first
        self._room: deque[float] = deque(maxlen=ROOM)
        self._loud: deque[bool] = deque(maxlen=WINDOW)
        self._start: int | None = None
        self._end = first
        self._voiced = 0
        self._threshold = QUIETEST

    def hear(self, samples: Sound) -> list[Began | Ceased]:
        """What has changed with these samples."""
        whole = numpy.concatenate([self._rest, samples])
        count = len(whole) // self._hop
        self._rest = whole[count * self._hop :]
        found = (self._step(hop) for hop in whole[: count * self._hop].reshape(count, self._hop))
        return [event for event in found if event is not None]

    def cease(self) -> Ceased | None:
        """End what is being said, if anything is."""
        return None if self._start is None else self._end_here()

    def _step(self, hop: Sound) -> Began | Ceased | None:
        power = float(numpy.dot(hop, hop)) / len(hop)
        level = 10 * math.log10(power + 1e-12)
        self._room.append(level)
        self._at += self._hop
        if self._start is None:
            self._threshold = max(QUIETEST, self._floor() + ABOVE)
        loud = level > self._threshold
        self._loud.append(loud)
        if self._start is None:
            if sum(self._loud) < SURE:
                return None
            self._start = self._at - self._hop * WINDOW
            self._end, self._voiced = self._at, sum(self._loud)
            return Began(self._start)
        if loud:
            self._end = self._at
            self._voiced += 1
        length, pause = ((self._at - since) * HOP / self._hop for since in (self._start, self._end))
        enough = BREATH if length >= LONG else HANG_OVER
        return self._end_here() if pause >= enough or length >= LONGEST else None

    def _end_here(self) -> Ceased:
        worth = self._voiced * HOP >= SHORTEST
        self._start = None
        self._loud.clear()
        return Ceased(self._end, worth)

    def _floor(self) -> float:
        """The loudness of the room: what a tenth of the last seconds is below."""
        if len(self._room) < WINDOW:
            return QUIETEST
        return float(numpy.partition(numpy.array(self._room), len(self._room) // 10)[len(self._room) // 10])

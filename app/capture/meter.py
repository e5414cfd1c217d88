"""How loud it is: root mean square, peak, clipping, and the digital silence of a microphone that is muted."""

from __future__ import annotations

import math

import numpy
from numpy.typing import NDArray

from app.capture.messages import Level

__all__ = ["FLOOR", "Meter", "decibels"]

FLOOR = -120.0
SILENT = 5e-7
"""A peak below this over a whole second comes from no microphone."""
FULL = 0.999
DEAD = 1.0
_WARNINGS = {
    "dead": "The microphone sends nothing. Plug it in again, or choose another one.",
    "muted": "The microphone is muted: what it sends is exact silence. Switch it on.",
    "clipped": "The sound is too loud and is cut off. Turn the microphone down, or move away from it.",
}


class Meter:
    """Takes samples, float32 between -1 and 1 at ``rate``, and says how loud they were."""

    def __init__(self, rate: int, now: float) -> None:
        self._rate = rate
        self._peak = 0.0
        self._squares, self._count = 0.0, 0
        self._quiet = 0
        self._clipped = -math.inf
        self._last = now

    def add(self, samples: NDArray[numpy.float32], now: float) -> None:
        """A block that came at ``now``."""
        self._last = now
        if not len(samples):
            return
        peak = float(numpy.abs(samples).max())
        self._peak = max(self._peak, peak)
        self._squares += float(numpy.dot(samples, samples))
        self._count += len(samples)
        self._quiet = self._quiet + len(samples) if peak < SILENT else 0
        if peak >= FULL:
            self._clipped = now

    def read(self, now: float) -> Level:
        """The loudness since the last reading."""
        rms = math.sqrt(self._squares / self._count) if self._count else 0.0
        dead = now - self._last >= DEAD
        muted = not dead and self._quiet >= self._rate
        clipped = now - self._clipped < 1.0
        state = "dead" if dead else "muted" if muted else "clipped" if clipped else ""
        level = Level(
            rms=decibels(rms),
            peak=decibels(self._peak),
            clipped=clipped,
            muted=muted,
            dead=dead,
            warning=_WARNINGS.get(state, ""),
        )
        self._peak, self._squares, self._count = 0.0, 0.0, 0
        return level


def decibels(amplitude: float) -> float:
    """Of full scale; at least -120."""
    return max(FLOOR, 20 * math.log10(amplitude)) if amplitude > 0 else FLOOR

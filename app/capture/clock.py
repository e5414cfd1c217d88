"""The microphone's sample count as the clock of a recording, held against the system's monotonic time.

Blocks arrive late and in bunches, and a sound card's 48 kHz is its own. Both are told apart by a Kalman
filter of two numbers: when a sample was heard, and by how much the card's second differs from the system's.
"""

from __future__ import annotations

import math

__all__ = ["SampleClock"]

LATE = 0.003
"""Standard deviation in seconds of a block's stamp."""
CARD = 200e-6
"""Of a card's rate around its nominal one, before anything is known."""
WANDER = 2e-4
"""Of the phase, in seconds after one second: latencies change slowly."""
RATE_WANDER = 2e-7
OUTLIER = 0.03
"""Seconds by which a stamp may miss and still be believed."""
PATIENCE = 0.5
"""Seconds of stamps that all miss on one side before it is the clock that is wrong: samples were lost."""
SETTLED = 1.0
"""Seconds of stamps that are believed, after which the clock is to be relied upon."""


class SampleClock:
    """Turns sample numbers into monotonic times and back. ``rate`` is nominal, ``start`` the monotonic time
    at which sample 0 is expected."""

    def __init__(self, rate: int, start: float) -> None:
        self.rate = rate
        self.lost = 0
        self._sample, self._time = 0.0, start
        self._stretch = 0.0
        self._p = [[0.25, 0.0], [0.0, CARD**2]]
        self._blocks = 0
        self._squares = 0.0
        self._steady = math.inf  # since when stamps are believed
        self._missing: tuple[float, float] | None = None  # since when, and the least miss

    def observe(self, sample: int, time: float) -> int:
        """Sample number ``sample`` was heard at about ``time``. How many samples must have been lost before
        it (mostly 0): the caller puts silence in their place and counts on from there."""
        miss = time - self.time_of(sample)
        if self._blocks and abs(miss) > max(OUTLIER, 4 * math.sqrt(self._p[0][0])):
            return self._doubt(sample, time, miss)
        self._missing = None
        self._steady = min(self._steady, time)
        self._update(sample, time)
        return 0

    def time_of(self, sample: float) -> float:
        """Monotonic seconds at which this sample was heard."""
        return self._time + (sample - self._sample) / self.rate * (1 + self._stretch)

    def sample_at(self, time: float) -> float:
        """The number (with a fraction) of the sample that was heard then."""
        return self._sample + (time - self._time) / (1 + self._stretch) * self.rate

    @property
    def settled(self) -> bool:
        """Whether it can be relied upon: a device's first stamps are often far off."""
        return self._missing is None and self._time - self._steady >= SETTLED

    @property
    def ppm(self) -> float:
        """By how many millionths the card's second is longer than the system's."""
        return self._stretch * 1e6

    @property
    def jitter(self) -> float:
        """Root mean square in seconds by which blocks' stamps miss what was expected."""
        return math.sqrt(self._squares / self._blocks) if self._blocks else 0.0

    def _update(self, sample: int, time: float) -> None:
        """One step of the filter. State: phase at the newest sample, stretch; measured: the phase."""
        step = (sample - self._sample) / self.rate
        predicted = self.time_of(sample)
        (a, b), (_, d) = self._p
        a, b = a + step * (2 * b + step * d) + WANDER**2 * abs(step), b + step * d
        d += RATE_WANDER**2 * abs(step)
        gain, gain_rate = a / (a + LATE**2), b / (a + LATE**2)
        miss = time - predicted
        self._sample, self._time = float(sample), predicted + gain * miss
        self._stretch += gain_rate * miss
        self._p = [[(1 - gain) * a, (1 - gain) * b], [0.0, d - gain_rate * b]]
        self._blocks += 1
        self._squares += miss**2

    def _doubt(self, sample: int, time: float, miss: float) -> int:
        """A stamp that cannot be. A late block is followed by prompt ones; lost samples by late ones only."""
        if self._missing is None or self._missing[1] * miss < 0:
            self._missing = (time, miss)
            return 0
        since, least = self._missing
        self._missing = (since, min(least, miss, key=abs))
        if time - since < PATIENCE:
            return 0
        least = self._missing[1]
        self._missing = None
        lost = max(0, round(least * self.rate))
        self.lost += lost
        self._sample, self._time = float(sample + lost), time
        self._p[0] = [LATE**2, 0.0]
        self._steady = math.inf
        return lost

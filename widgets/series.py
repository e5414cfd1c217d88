"""The newest points of one curve, raw and smoothed, in a ring buffer that is read without a copy.

numpy is loaded with the first series: it comes with pyqtgraph, after the window is painted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["SMOOTHING", "Series"]

CAPACITY = 16384
SMOOTHING = 0.6


class Series:
    """The newest CAPACITY points of one curve, raw and smoothed, always in one contiguous piece of memory.

    Every point is written twice, half a buffer apart, so that the newest window never wraps around.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        import numpy as np

        self._capacity = capacity
        self._written = 0
        self._rows: NDArray[np.float64] = np.empty((3, 2 * capacity))

    def __len__(self) -> int:
        return min(self._written, self._capacity)

    def append(self, step: float, value: float) -> None:
        """One more point; the smoothed one is 0.6 of the last smoothed one and 0.4 of ``value``."""
        last = self._rows[2, (self._written - 1) % self._capacity] if self._written else value
        point = (step, value, SMOOTHING * last + (1 - SMOOTHING) * value)
        place = self._written % self._capacity
        for row, number in zip(self._rows, point, strict=True):
            row[place] = row[place + self._capacity] = number
        self._written += 1

    @property
    def points(self) -> NDArray[np.float64]:
        """[3, n]: steps, values, smoothed values; a view, valid until the next ``append``."""
        start = self._written % self._capacity if self._written > self._capacity else 0
        return self._rows[:, start : start + len(self)]

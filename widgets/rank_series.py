"""What a rank chart draws: values by rank, with intervals where they have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["RankSeries", "RankValue", "span"]


@dataclass(frozen=True)
class RankValue:
    """``value`` at ``rank``, with its interval where it has one."""

    rank: int
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class RankSeries:
    """A line, its values by growing rank; ``strong`` is what the chart is about. ``hue`` is a place of the
    palette, None the accent."""

    label: str
    values: tuple[RankValue, ...]
    hue: int | None = None
    strong: bool = True

    def at(self, rank: int) -> RankValue | None:
        return next((value for value in self.values if value.rank == rank), None)


def span(series: Sequence[RankSeries]) -> tuple[float, float]:
    """From the least to the most of all values and intervals."""
    ends = [
        end
        for one in series
        for value in one.values
        for end in (value.low, value.value, value.high)
        if end is not None
    ]
    if not ends:
        return 0.0, 1.0
    least, most = min(ends), max(ends)
    return (least, most) if most > least else (least - 0.5, most + 0.5)

"""Quality by rank as it was measured: on what, in which order, what it says; and how it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import log2

import msgspec

from app.words import count
from engine.messages import AdapterCard, RankCurve, RankOrder, RankPoint

__all__ = ["Measured", "aurac", "from_json", "grid", "order_words", "to_json"]

MOST_KEPT = 24
EVERY_RANK = 12
DOZEN = 12


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One curve. Of the adapter and of the data the hashes count, the names are for people."""

    adapter: str
    sha256: str
    base: str
    order: RankOrder
    data: str
    data_sha256: str
    curve: RankCurve

    def is_like(self, other: Measured) -> bool:
        """Whether both answered the same rows and were judged alike, so that they may share an axis."""
        return (
            self.base == other.base
            and self.data_sha256 == other.data_sha256
            and self.curve.metric == other.curve.metric
            and self.curve.n == other.curve.n
        )

    def replaces(self, other: Measured) -> bool:
        return self.is_like(other) and (self.sha256, self.order) == (other.sha256, other.order)

    def at(self, rank: int) -> RankPoint | None:
        """The point that was measured at ``rank``; None between two of them."""
        return next((point for point in self.curve.points if point.rank == rank), None)

    @property
    def aurac(self) -> float:
        return aurac(self.curve.points)

    @property
    def enough(self) -> int:
        """The lowest rank from which on every interval overlaps that of the highest rank."""
        *lower, highest = self.curve.points
        rank = highest.rank
        for point in reversed(lower):
            if point.interval[0] > highest.interval[1] or point.interval[1] < highest.interval[0]:
                break
            rank = point.rank
        return rank

    @property
    def sentence(self) -> str:
        """On what it was measured, and which ranks it does not tell apart."""
        points = self.curve.points
        on = f"{count(self.curve.n, 'row')} of {self.data}"
        if len(points) == 1:
            return f"{on}."
        highest = points[-1].rank
        if self.enough == points[0].rank:
            return f"{on}. At every rank the 95 % interval overlaps that of rank {highest}."
        if self.enough == highest:
            return f"{on}. No lower rank's 95 % interval overlaps that of rank {highest}."
        return f"{on}. From rank {self.enough} on the 95 % intervals overlap that of rank {highest}."


def aurac(points: Sequence[RankPoint]) -> float:
    """The area under value over log2 rank by the trapezoid rule, divided by its width: the mean value when
    every doubling of the rank counts the same (AURAC, arXiv 2605.07850)."""
    places = [log2(point.rank) for point in points]
    areas = [
        (one.value + other.value) / 2 * (right - left)
        for (one, left), (other, right) in pairwise(zip(points, places, strict=True))
    ]
    return sum(areas) / (places[-1] - places[0]) if areas else points[0].value


def grid(low: int, highest: int) -> list[int]:
    """Ranks worth measuring: each of a few, of many about a dozen that thin out upwards."""
    if highest - low < EVERY_RANK:
        return list(range(low, highest + 1))
    steps = [low * (highest / low) ** (place / (DOZEN - 1)) for place in range(DOZEN)]
    return sorted({low, highest, *map(round, steps)})


def to_json(kept: Sequence[Measured]) -> str:
    """The newest curves, the newest last, small enough for settings."""
    return msgspec.json.encode(list(kept)[-MOST_KEPT:]).decode()


def from_json(text: str) -> tuple[Measured, ...]:
    """What ``to_json`` wrote; none, if another version wrote it."""
    try:
        return tuple(msgspec.json.decode(text.encode(), type=list[Measured])) if text else ()
    except msgspec.DecodeError:
        return ()


def order_words(card: AdapterCard, order: RankOrder) -> str:
    """What an order of an adapter's columns is called."""
    if order == "":
        return {"dylora": "As trained", "svd": "In order"}.get(card.kind, "As the file has it")
    return {"energy": "By energy", "spread": "Shared out"}[order]

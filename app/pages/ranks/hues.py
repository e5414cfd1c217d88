"""Which colour a curve of the ranks page wears, wherever it is drawn: an order keeps its own."""

from __future__ import annotations

from app.presenters.measured import Measured
from app.presenters.ranks import Ranks
from engine.messages import RankOrder

__all__ = ["hue_of", "hue_of_order"]

HUES: dict[RankOrder, int] = {"energy": 1, "spread": 2, "": 0}
BESIDE = 6


def hue_of_order(order: RankOrder) -> int:
    """The palette place of an order of the adapter that slides."""
    return HUES[order]


def hue_of(ranks: Ranks, measured: Measured) -> int:
    """The palette place of a measured curve; another adapter's is apart from all orders."""
    card = ranks.state.adapter
    is_own = card is not None and measured.sha256 == card.sha256
    return HUES[measured.order] if is_own else BESIDE

"""Which colour a curve of the ranks page wears, wherever it is drawn: an order keeps its own."""

from __future__ import annotations

from app.presenters.measured import Measured
from app.presenters.ranks import Ranks
from engine.messages import RankOrder

__all__ = ["hue_of", "hue_of_order"]

OWN: dict[RankOrder, int] = {"energy": 1, "spread": 2, "": 0}
BESIDE: dict[RankOrder, int] = {"energy": 6, "spread": 3, "": 5}


def hue_of_order(order: RankOrder) -> int:
    """The palette place of an order of the adapter that slides."""
    return OWN[order]


def hue_of(ranks: Ranks, measured: Measured) -> int:
    """The palette place of a measured curve; another adapter's is apart from all orders."""
    card = ranks.state.adapter
    is_own = card is not None and measured.sha256 == card.sha256
    return (OWN if is_own else BESIDE)[measured.order]

"""Adapters made of the one on the ranks page: baked at a rank, put in order, written elsewhere."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from app.client import Client
from app.presenters.ranks import Ranks
from app.presenters.stock import Stock

__all__ = ["RankMaking"]


class RankMaking(QObject):
    """``changed``: what was made, or is being made. ``noticed(Notice)``; ``announced(sentence)``."""

    changed = Signal()
    noticed = Signal(object)
    announced = Signal(str)

    def __init__(self, client: Client, ranks: Ranks, stock: Stock, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._client = client
        self.ranks = ranks
        self.stock = stock

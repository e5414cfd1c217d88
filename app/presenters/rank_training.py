"""Training an adapter that works at every rank, from the ranks page: the plan, and the job followed live."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from app.client import Client
from app.presenters.ranks import Ranks
from app.presenters.stock import Stock

__all__ = ["RankTraining"]


class RankTraining(QObject):
    """``changed``: plan or job. ``noticed(Notice)``; ``announced(sentence)`` for readers."""

    changed = Signal()
    noticed = Signal(object)
    announced = Signal(str)

    def __init__(self, client: Client, ranks: Ranks, stock: Stock, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._client = client
        self.ranks = ranks
        self.stock = stock

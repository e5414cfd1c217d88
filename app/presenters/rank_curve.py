"""Quality by rank of the adapter on the ranks page: measured on request, kept for each order and data set."""

from __future__ import annotations

from PySide6.QtCore import QObject, QSettings, Signal

from app.client import Client
from app.presenters.rank_spectrum import RankSpectrum
from app.presenters.ranks import Ranks
from app.presenters.stock import Stock

__all__ = ["RankCurves"]


class RankCurves(QObject):
    """``changed``: curves, plan or progress. ``noticed(Notice)``; ``announced(sentence)`` for readers."""

    changed = Signal()
    noticed = Signal(object)
    announced = Signal(str)

    def __init__(
        self,
        client: Client,
        ranks: Ranks,
        stock: Stock,
        store: QSettings | None = None,
        parent: QObject | None = None,
    ) -> None:
        """``stock`` says which data there is (whoever owns it refreshes it); ``store`` keeps the curves."""
        super().__init__(parent)
        self._client = client
        self.ranks = ranks
        self.stock = stock
        self._store = store
        self.spectrum = RankSpectrum(client, ranks, self)

"""The spectrum of the adapter on the ranks page: read once for each file, and what a rank cuts from it."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from app.client import Client
from app.presenters.ranks import Ranks
from engine.messages import Spectrum

__all__ = ["RankSpectrum"]


class RankSpectrum(QObject):
    """``changed``: another spectrum, or none."""

    changed = Signal()

    def __init__(self, client: Client, ranks: Ranks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._client = client
        self.ranks = ranks
        self.spectrum: Spectrum | None = None

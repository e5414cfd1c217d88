"""How the adapter's energy lies in its projections and ranks, with the live rank's cut through it."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from app.presenters.ranks import Ranks

__all__ = ["SpectrumView"]


class SpectrumView(QWidget):
    def __init__(self, ranks: Ranks, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ranks = ranks
        self.setObjectName("ranks.spectrum")

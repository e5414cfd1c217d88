"""Bake the live rank, put an adapter in order, write it to a folder; and what came of it."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from app.presenters.rank_making import RankMaking

__all__ = ["RankMakingForm"]


class RankMakingForm(QWidget):
    def __init__(self, making: RankMaking, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._making = making
        self.setObjectName("ranks.making")

"""Train an adapter for every rank: the form, then what it learns while it runs."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from app.presenters.rank_training import RankTraining

__all__ = ["RankTrainingForm"]


class RankTrainingForm(QWidget):
    def __init__(self, training: RankTraining, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._training = training
        self.setObjectName("ranks.training")

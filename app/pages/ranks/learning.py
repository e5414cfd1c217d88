"""A training for every rank as it goes: its verbs, its progress, the loss of each rank."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from app.pages.learning import LearningView
from app.presenters.rank_training import AT_RANK, RankTraining
from widgets.curve_plot import CurvePlot
from widgets.rank_bars import RankBars

__all__ = ["Learning"]

KEEPS = "End the training here and keep what every rank has learned"
FAINTEST = 0.4


class Learning(LearningView):
    """``loss`` has a curve for each rank, the brighter the higher, and ``bars`` the newest of each."""

    training: RankTraining

    def __init__(self, training: RankTraining, parent: QWidget | None = None) -> None:
        super().__init__("ranks.learning", training, KEEPS, is_narrow=True, parent=parent)
        self.loss = CurvePlot("Loss by rank", "nats by step", legend=False)
        self.loss.setObjectName("ranks.learning.loss")
        self.loss.setMinimumHeight(160)
        self.bars = RankBars("ranks.learning.bars", "Newest loss at each rank")
        self._shades: dict[int, float] = {}
        self.column.addWidget(self.loss)
        self.column.addWidget(self.bars)
        self.begin()

    def grow(self, step: int, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            if name.startswith(AT_RANK):
                self.loss.append(name.removeprefix(AT_RANK), step, value)
        self.bars.set_values(self.training.newest, self._shades)

    def replace(self) -> None:
        self.loss.clear()
        ranks = self.training.newest
        span = max(1, len(ranks) - 1)
        self._shades = {rank: FAINTEST + (1 - FAINTEST) * place / span for place, rank in enumerate(ranks)}
        self.loss.set_shades({str(rank): shade for rank, shade in self._shades.items()})
        for rank in ranks:
            for step, value in self.training.curve.get(f"{AT_RANK}{rank}", []):
                self.loss.append(str(rank), step, value)
        self.bars.set_values(ranks, self._shades)

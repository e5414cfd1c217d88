"""The middle of the ranks page, from top to bottom: prompt, panes, slider, and the charts on its axis."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QSplitter, QVBoxLayout, QWidget

from app.pages.ranks.charts import RankCharts
from app.pages.ranks.panes import Panes
from app.pages.ranks.prompt import RankPrompt
from app.presenters.rank_curve import RankCurves
from app.presenters.rank_scene import ORDERS
from app.presenters.ranks import Ranks
from app.words import percent
from widgets.rank_slider import RankSlider

__all__ = ["Instrument"]


class Instrument(QWidget):
    """A slider the width of the page between what it changes and what that costs."""

    def __init__(self, ranks: Ranks, curves: RankCurves, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ranks = ranks
        self.setObjectName("ranks.instrument")
        self.prompt = RankPrompt(ranks, curves)
        self.panes = Panes(ranks)
        self.slider = RankSlider()
        self.charts = RankCharts(curves, self.slider)
        self._order = QLabel(objectName="ranks.order.words", wordWrap=True)
        self._order.setProperty("role", "tiny")
        self._compose()
        self.slider.moved.connect(ranks.slide)
        self.slider.released.connect(ranks.settle)
        self.slider.pin_wanted.connect(ranks.pin)
        ranks.changed.connect(self.show_state)
        ranks.slid.connect(self._show_rank)
        self.show_state()

    def _compose(self) -> None:
        upper = QWidget()
        column = QVBoxLayout(upper)
        column.setContentsMargins(24, 16, 24, 8)
        column.setSpacing(12)
        column.addWidget(self.prompt)
        column.addWidget(self.panes, 1)
        lower = QWidget()
        column = QVBoxLayout(lower)
        column.setContentsMargins(0, 8, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.slider)
        column.addWidget(self._order)
        column.addSpacing(8)
        column.addWidget(self.charts, 1)
        self._order.setContentsMargins(24, 0, 24, 0)
        self._order.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        split = QSplitter(Qt.Orientation.Vertical, objectName="ranks.split.down")
        split.setChildrenCollapsible(False)
        split.addWidget(upper)
        split.addWidget(lower)
        split.setSizes([248, 452])
        split.setStretchFactor(0, 1)
        split.setStretchFactor(1, 1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(split)

    def show_state(self) -> None:
        state = self._ranks.state
        self.slider.set_ranks(state.low, state.highest)
        self.slider.set_pinned(state.pinned)
        self.slider.setEnabled(state.adapter is not None and state.highest > state.low)
        words = ORDERS[state.order][1] if len(state.orders) > 1 else ""
        self._order.setText(state.problem or words)
        self._order.setVisible(bool(self._order.text()))
        self._show_rank()

    def _show_rank(self) -> None:
        rank = self._ranks.state.rank
        energy = self._ranks.energy(rank)
        self.slider.set_rank(rank, "" if energy is None else f"{percent(energy)} of the energy kept")

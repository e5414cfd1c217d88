"""Under the rank slider, on its axis: quality, energy, bytes and speed by rank."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from app.presenters.rank_curve import RankCurves

__all__ = ["RankCharts"]


class RankCharts(QWidget):
    """``slider`` has ``x_of(rank)`` in its own pixels and ``axis_changed``."""

    def __init__(self, curves: RankCurves, slider: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._curves = curves
        self._slider = slider
        self.setObjectName("ranks.charts")

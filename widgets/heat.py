"""Heat maps in one hue: how a value is coloured, evenly or by decades, and the key that says so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QLinearGradient, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from widgets.theme import theme

__all__ = ["HeatKey", "heat"]

BAR = 8
DECADES = 3


def heat(values: Sequence[Sequence[float]], *, is_log: bool) -> NDArray[np.float64]:
    """[rows, most columns] in 0..1: each value's share of the largest of all, or how many of three decades
    below it are left; 0 where a row has no more."""
    widest = max((len(row) for row in values), default=0)
    table = np.zeros((len(values), widest))
    for index, row in enumerate(values):
        table[index, : len(row)] = row
    most = table.max(initial=0.0)
    if most <= 0.0:
        return table
    share = table / most
    if not is_log:
        return share
    with np.errstate(divide="ignore"):
        return np.clip(1 + np.log10(share) / DECADES, 0.0, 1.0)


class HeatKey(QWidget):
    """A bar with the numbers of both its ends."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._most = 0.0
        self._is_log = False
        theme.changed.connect(self.update)

    def show_most(self, most: float) -> None:
        """The largest value of the map."""
        self._most = most
        self.update()

    def set_log(self, on: bool) -> None:
        self._is_log = on
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(120, 28)

    def minimumSizeHint(self) -> QSize:
        return QSize(72, 28)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        bar = QRectF(0, 2, self.width(), BAR)
        painter.fillRect(bar, theme.colour("raised"))
        fade = QLinearGradient(bar.topLeft(), bar.topRight())
        fade.setColorAt(0, theme.colour("accent", 0.0))
        fade.setColorAt(1, theme.colour("accent"))
        painter.fillRect(bar, fade)
        painter.setPen(theme.colour("text_dim"))
        painter.setFont(theme.font(theme.tokens.tiny))
        below = QRectF(0, BAR + 3, self.width(), 16)
        least = f"{self._most / 10**DECADES:.1g}" if self._is_log else "0"
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, least)
        painter.drawText(below, Qt.AlignmentFlag.AlignRight, f"{self._most:.3g}")
        painter.end()

"""A line of the last few values, without axes: how fast it was and whether it is getting slower."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from widgets.theme import theme

__all__ = ["Spark"]

SAMPLES = 60


class Spark(QWidget):
    """``show_values`` shows the newest SAMPLES values, from 0 to their greatest, the newest at the right."""

    def __init__(self, words: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._words = words
        self._values: tuple[float, ...] = ()
        self.setAccessibleName(words)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(96, 28)

    def show_values(self, values: Sequence[float], words: str = "") -> None:
        """``words`` say the newest value to those who do not see the line."""
        newest = tuple(values[-SAMPLES:])
        if newest != self._values:
            self._values = newest
            self.setAccessibleDescription(words)
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        room = QRectF(self.rect()).adjusted(1, 2, -1, -2)
        painter.setPen(QPen(theme.colour("line"), 1))
        painter.drawLine(room.bottomLeft(), room.bottomRight())
        most = max(self._values, default=0.0)
        if len(self._values) < 2 or most <= 0:
            return
        step = room.width() / (SAMPLES - 1)
        left = room.right() - step * (len(self._values) - 1)
        points = [
            QPointF(left + step * place, room.bottom() - room.height() * value / most)
            for place, value in enumerate(self._values)
        ]
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour("accent", 0.18))
        painter.drawPolygon(QPolygonF([*points, room.bottomRight(), QPointF(left, room.bottom())]))
        painter.setPen(QPen(theme.colour("accent"), 1.5))
        painter.drawPolyline(QPolygonF(points))

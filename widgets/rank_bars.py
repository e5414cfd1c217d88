"""A value to each rank as bars, empty where there is none yet."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from widgets.theme import theme

__all__ = ["RankBars"]

HEAD, FOOT = 34.0, 16.0
GAP = 4.0
WIDEST = 40.0
NUMBER_GAP = 6.0


class RankBars(QWidget):
    """``title`` above, ranks below, the figure over a bar where there is room for it."""

    def __init__(self, name: str, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = title
        self._values: dict[int, float | None] = {}
        self._shades: dict[int, float] = {}
        self.setObjectName(name)
        self.setAccessibleName(title)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.update)

    def set_values(self, values: Mapping[int, float | None], shades: Mapping[int, float]) -> None:
        """Show {rank: value}; None is a rank that has none yet. Bars begin at 0, ``shades`` say how strongly
        each wears the accent, 0..1."""
        if dict(values) == self._values:
            return
        self._values, self._shades = dict(values), dict(shades)
        said = [
            f"rank {rank}: {'none yet' if value is None else f'{value:.2f}'}"
            for rank, value in self._values.items()
        ]
        self.setAccessibleDescription(", ".join(said))
        self.setToolTip("\n".join(said))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(240, 124)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 124)

    def bar_rect(self, place: int) -> QRectF:
        """The whole room of the bar in ``place``, from the left."""
        pitch = min(WIDEST, self.width() / max(1, len(self._values)))
        gap = min(GAP, pitch / 4)
        return QRectF(place * pitch, HEAD, pitch - gap, self.height() - HEAD - FOOT)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(theme.font(theme.tokens.tiny, strong=True))
        painter.setPen(theme.colour("text"))
        painter.drawText(QRectF(0, 0, self.width(), 18), Qt.AlignmentFlag.AlignVCenter, self._title)
        painter.setFont(theme.font(theme.tokens.tiny))
        most = max((value for value in self._values.values() if value is not None), default=0.0)
        metrics = QFontMetricsF(painter.font())
        has_figures = self.bar_rect(0).width() + GAP >= metrics.horizontalAdvance("0.00")
        every = self._numbered(metrics)
        for place, (rank, value) in enumerate(self._values.items()):
            room = self.bar_rect(place)
            self._paint_bar(painter, room, value, most, self._shades.get(rank, 1.0))
            if value is not None and has_figures:
                self._paint_figure(painter, room, value, most)
            if place % every == 0:
                painter.setPen(theme.colour("text_dim"))
                foot = QRectF(room.center().x() - 20, room.bottom() + 1, 40, FOOT)
                painter.drawText(foot, Qt.AlignmentFlag.AlignCenter, str(rank))
        painter.end()

    def _numbered(self, metrics: QFontMetricsF) -> int:
        """Every how manieth rank has room for its number."""
        wide = metrics.horizontalAdvance(str(max(self._values, default=1))) + NUMBER_GAP
        pitch = max(1.0, min(WIDEST, self.width() / max(1, len(self._values))))
        return max(1, -int(-wide // pitch))

    def _paint_bar(
        self, painter: QPainter, room: QRectF, value: float | None, most: float, shade: float
    ) -> None:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if value is None:
            painter.setPen(QPen(theme.colour("edge"), 1, Qt.PenStyle.DotLine))
            painter.drawLine(room.bottomLeft(), room.bottomRight())
            return
        painter.fillRect(_bar(room, value, most), theme.colour("accent", shade))

    def _paint_figure(self, painter: QPainter, room: QRectF, value: float, most: float) -> None:
        bar = _bar(room, value, most)
        painter.setPen(theme.colour("text_dim"))
        above = QRectF(bar.center().x() - 20, bar.top() - 15, 40, 14)
        painter.drawText(above, Qt.AlignmentFlag.AlignCenter, f"{value:.2f}")


def _bar(room: QRectF, value: float, most: float) -> QRectF:
    high = room.height() * (value / most if most > 0 else 0.0)
    return QRectF(room.left(), room.bottom() - high, room.width(), high)

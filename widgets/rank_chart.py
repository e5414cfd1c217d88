"""One quantity by rank, on an axis that stands elsewhere: lines with intervals, and a hairline at a rank.

Charts of one axis are stacked without a gap, so that their hairlines are one line. Lines are drawn once and
kept as a picture: under a moving hand only the hairline and what is read at it are drawn anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QFont,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from widgets.painting import focus_ring
from widgets.rank_lines import ink, paint_reading, paint_series
from widgets.rank_series import RankSeries, span
from widgets.theme import theme

__all__ = ["RankChart"]

HEAD = 18.0
TALL = 80
GROWTH = 2.2
ABOVE, BELOW = 8.0, 6.0
GAP = 8.0
HAIRLINE = 0.55


class RankChart(QWidget):
    """``title`` and what is read at the current rank above, from ``inset`` on; ``figure`` writes values.

    ``picked(rank)``: clicked, dragged to or walked to; ``settled``: the hand has left it again;
    ``pointed(rank)``: the mouse is over it, -1: nowhere.
    """

    picked = Signal(int)
    settled = Signal()
    pointed = Signal(int)

    def __init__(
        self,
        name: str,
        title: str,
        figure: Callable[[float], str],
        height: int,
        inset: int = 24,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._title, self._figure, self._height, self._inset = title, figure, height, inset
        self._x_of: Callable[[float], float] = float
        self._ranks = range(1, 2)
        self._series: tuple[RankSeries, ...] = ()
        self._span = (0.0, 1.0)
        self._rank, self._pointed = 1, -1
        self._empty = ""
        self._lines: QPixmap | None = None
        self.setObjectName(name)
        self.setAccessibleName(f"{title} by rank")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setMaximumHeight(round(GROWTH * height))
        theme.changed.connect(self._draw_anew)

    # values in

    def set_axis(self, x_of: Callable[[float], float], low: int, highest: int) -> None:
        """Where ranks stand, in this widget's pixels."""
        self._x_of, self._ranks = x_of, range(low, highest + 1)
        self._draw_anew()

    def set_series(
        self, series: Sequence[RankSeries], ends: tuple[float, float] | None = None, empty: str = ""
    ) -> None:
        """Show lines, the strong ones on top. ``ends`` are the least and the most of the axis, by itself that
        of the values; ``empty`` is said while there are no lines."""
        self._series = tuple(sorted(series, key=lambda one: one.strong))
        self._span = ends or span(self._series)
        self._empty = empty
        self._draw_anew()
        self._say()

    def set_unit(self, title: str, figure: Callable[[float], str]) -> None:
        """Show another quantity from the next ``set_series`` on."""
        self._title, self._figure = title, figure
        self.setAccessibleName(f"{title} by rank")

    def set_rank(self, rank: int) -> None:
        """Put the hairline at ``rank``."""
        if rank != self._rank:
            self._rank = rank
            self._say()

    def set_pointed(self, rank: int) -> None:
        """Read what stands at ``rank`` instead, as when the mouse is over another chart of this axis."""
        if rank != self._pointed:
            self._pointed = rank
            self._say()

    @property
    def read_rank(self) -> int:
        return self._pointed if self._pointed >= 0 else self._rank

    @property
    def words(self) -> str:
        """What the chart says at the rank under the mouse, or else at the hairline."""
        return "; ".join(f"{label} {value}".strip() for label, value, _ in self._readings()) or self._empty

    def _readings(self) -> list[tuple[str, str, RankSeries]]:
        is_one = len(self._series) == 1
        return [
            ("" if is_one else one.label, self._reading(one), one)
            for one in sorted(self._series, key=lambda one: not one.strong)
        ]

    def _reading(self, series: RankSeries) -> str:
        value = series.at(self.read_rank)
        if value is None:
            return "not measured at this rank"
        if value.low is None or value.high is None or not series.strong:
            return self._figure(value.value)
        return f"{self._figure(value.value)} ({self._figure(value.low)} to {self._figure(value.high)})"

    def _say(self) -> None:
        self.setAccessibleDescription(f"rank {self.read_rank}: {self.words}" if self._series else self._empty)
        self.update()

    # geometry

    def sizeHint(self) -> QSize:
        return QSize(400, self._height)

    def minimumSizeHint(self) -> QSize:
        return QSize(200, self._height)

    def y_of(self, value: float) -> float:
        """Where a value stands; beyond the axis at its end."""
        least, most = self._span
        share = min(1.0, max(0.0, (value - least) / (most - least)))
        top, bottom = HEAD + ABOVE, self.height() - BELOW
        return bottom - share * (bottom - top)

    def rank_at(self, x: float) -> int:
        """The rank nearest to ``x``."""
        return min(self._ranks, key=lambda rank: abs(self._x_of(rank) - x))

    # events

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.picked.emit(self.rank_at(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        rank = self.rank_at(event.position().x())
        self.pointed.emit(rank)
        if event.buttons() & Qt.MouseButton.LeftButton:
            self.picked.emit(rank)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.settled.emit()

    def leaveEvent(self, event: QEvent) -> None:
        self.pointed.emit(-1)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        moves = {
            Qt.Key.Key_Left: self._rank - 1,
            Qt.Key.Key_Right: self._rank + 1,
            Qt.Key.Key_Home: self._ranks[0],
            Qt.Key.Key_End: self._ranks[-1],
        }
        wanted = moves.get(Qt.Key(event.key()))
        if wanted in self._ranks:
            self.picked.emit(wanted)
            self.settled.emit()
            QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, self.accessibleDescription()))
        elif wanted is None:
            super().keyPressEvent(event)

    # painting: the axis and the lines, then hairlines and what is read at them

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._lines = None

    def _draw_anew(self) -> None:
        self._lines = None
        self.update()

    def _drawn(self) -> QPixmap:
        """The axis and the lines, as they are at every rank."""
        scale = self.devicePixelRatioF()
        if self._lines is None or self._lines.devicePixelRatio() != scale:
            self._lines = QPixmap(self.size() * scale)
            self._lines.setDevicePixelRatio(scale)
            self._lines.fill(Qt.GlobalColor.transparent)
            painter = QPainter(self._lines)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setFont(theme.font(theme.tokens.tiny))
            self._paint_axis(painter)
            for series in self._series:
                paint_series(painter, series, self._x_of, self.y_of)
            painter.end()
        return self._lines

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._drawn())
        self._paint_hairline(painter, self._rank, "text")
        if self._pointed not in (-1, self._rank):
            self._paint_hairline(painter, self._pointed, "edge")
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for series in self._series:
            paint_reading(painter, series, self.read_rank, self._x_of, self.y_of)
        self._paint_words(painter)
        if self.hasFocus():
            focus_ring(painter, QRectF(self.rect()))
        painter.end()

    def _paint_axis(self, painter: QPainter) -> None:
        left, right = self._x_of(self._ranks[0]), self._x_of(self._ranks[-1])
        flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for value in self._span if self._series else ():
            y = round(self.y_of(value)) + 0.5
            painter.setPen(QPen(theme.colour("line"), 1))
            painter.drawLine(QPointF(left, y), QPointF(right, y))
            painter.setPen(theme.colour("text_dim"))
            painter.drawText(QRectF(0, y - 8, left - GAP, 16), flags, self._figure(value))

    def _paint_hairline(self, painter: QPainter, rank: int, token: str) -> None:
        x = round(self._x_of(rank))
        painter.fillRect(x, 0, 1, self.height(), theme.colour(token, HAIRLINE))

    def _paint_words(self, painter: QPainter) -> None:
        strong = theme.font(theme.tokens.tiny, strong=True)
        x = self._write(painter, self._inset, self._title, strong, "text")
        for label, value, series in self._readings():
            x += GAP
            if label:
                square = QPainterPath()
                square.addRoundedRect(QRectF(x, HEAD / 2 - 4, 8, 8), 2, 2)
                self._clear(painter, x, 12)
                painter.fillPath(square, ink(series))
                x = self._write(painter, x + 12, label, theme.font(theme.tokens.tiny), "text_dim") + 4
            x = self._write(painter, x, value, strong if series.strong else painter.font(), "text")
        if not self._series and self._height < TALL:
            self._write(painter, x + GAP, self._empty, theme.font(theme.tokens.tiny), "text_dim")
        elif not self._series:
            painter.setFont(theme.font(theme.tokens.small))
            painter.setPen(theme.colour("text_dim"))
            room = QRectF(0, HEAD, self.width(), self.height() - HEAD)
            words = painter.boundingRect(room, Qt.AlignmentFlag.AlignCenter, self._empty)
            painter.fillRect(words.adjusted(-GAP, 0, GAP, 0), self.palette().window())
            painter.drawText(room, Qt.AlignmentFlag.AlignCenter, self._empty)

    def _write(self, painter: QPainter, x: float, words: str, font: QFont, token: str) -> float:
        """Words on the hairline's own ground, so that it does not cross them. Returns where they end."""
        painter.setFont(font)
        room = self.width() - x
        shown = painter.fontMetrics().elidedText(words, Qt.TextElideMode.ElideRight, max(0, round(room)))
        wide = QFontMetricsF(painter.font()).horizontalAdvance(shown)
        self._clear(painter, x, wide)
        painter.setPen(theme.colour(token))
        painter.drawText(QRectF(x, 0, wide + 2, HEAD), Qt.AlignmentFlag.AlignVCenter, shown)
        return x + wide

    def _clear(self, painter: QPainter, x: float, wide: float) -> None:
        painter.fillRect(QRectF(x - 3, 0, wide + 6, HEAD), self.palette().window())

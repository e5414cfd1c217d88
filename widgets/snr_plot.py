"""Share of wrong words against noise: a line for each sense, a point for each transcription."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from widgets.painting import focus_ring, hue_colour
from widgets.row_reader import RowReader
from widgets.theme import theme

__all__ = ["SnrLine", "SnrPlot", "paint_mark"]

LEFT, RIGHT, TOP, BOTTOM = 44.0, 12.0, 26.0, 24.0
MARK = 4.0
DASHES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine, Qt.PenStyle.DotLine)


@dataclass(frozen=True)
class SnrLine:
    """``points`` are (dB or None without noise, share of wrong words); ``mark`` 0 is a circle, 1 a square, 2
    a triangle, so that lines are told apart without their colours. ``is_flat``: its one point holds at every
    noise."""

    label: str
    hue: int
    mark: int
    points: tuple[tuple[float | None, float], ...] = ()
    is_flat: bool = False

    def at(self, snr: float | None) -> float | None:
        """The share at a noise, None where there is no point."""
        return self.points[0][1] if self.is_flat and self.points else dict(self.points).get(snr)


class SnrPlot(RowReader):
    """Left is quiet, right is loud. Arrow keys go through the noises that there is a point at."""

    def __init__(self, name: str, words: str, parent: QWidget | None = None) -> None:
        super().__init__(words, parent)
        self._lines: tuple[SnrLine, ...] = ()
        self._range = (20.0, -10.0)
        self._now: float | None = None
        self._empty = ""
        self.setObjectName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def set_lines(
        self, lines: Sequence[SnrLine], now: float | None, range_db: tuple[float, float], empty: str = ""
    ) -> None:
        """Show ``lines`` from the quiet end of ``range_db`` to its loud one; ``now`` is the fader's noise,
        ``empty`` is said while there are no points."""
        self._lines, self._now, self._range, self._empty = tuple(lines), now, range_db, empty
        self._current = max(0, min(self._current, self.row_count() - 1))
        self._say()

    @property
    def noises(self) -> list[float | None]:
        """Where there are points, from quiet to loud."""
        found = {snr for line in self._lines for snr, _ in line.points}
        return sorted(found, key=lambda snr: float("-inf") if snr is None else -snr)

    def row_count(self) -> int:
        return len(self.noises)

    def row_at(self, y: float) -> int:
        """Rows are columns here, which ``_noise_at`` finds."""
        return -1

    def row_words(self, row: int) -> str:
        snr = self.noises[row]
        shares = [(line.label, line.at(snr)) for line in self._lines]
        values = [f"{label} {100 * share:.0f} %" for label, share in shares if share is not None]
        return f"{_noise(snr)}: {', '.join(values)} of the words wrong"

    def _say(self) -> None:
        super()._say()
        if not self.row_count():
            self.setAccessibleDescription(self._empty)

    # geometry

    def sizeHint(self) -> QSize:
        return QSize(360, 190)

    def minimumSizeHint(self) -> QSize:
        return QSize(220, 140)

    def x_of(self, snr: float | None) -> float:
        """Where a noise stands; no noise at all stands left of the quietest."""
        quiet, loud = self._range
        left, right = LEFT + 36, self.width() - RIGHT
        return LEFT + 8 if snr is None else left + (right - left) * (quiet - snr) / (quiet - loud)

    def y_of(self, share: float) -> float:
        top, bottom = TOP, self.height() - BOTTOM
        return bottom - min(1.0, share / self._most) * (bottom - top)

    @property
    def _most(self) -> float:
        worst = max((share for line in self._lines for _, share in line.points), default=0.0)
        return 1.0 if worst > 0.5 else 0.5

    def _noise_at(self, x: float) -> int:
        near = [(abs(self.x_of(snr) - x), row) for row, snr in enumerate(self.noises)]
        return min(near)[1] if near and min(near)[0] < 16 else -1

    # hands

    def keyPressEvent(self, event: QKeyEvent) -> None:
        turned = {Qt.Key.Key_Left: Qt.Key.Key_Up, Qt.Key.Key_Right: Qt.Key.Key_Down}
        key = turned.get(Qt.Key(event.key()))
        if key is not None:
            event = QKeyEvent(event.type(), key, event.modifiers())
        super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        row = self._noise_at(event.position().x())
        if row >= 0 and event.button() == Qt.MouseButton.LeftButton:
            self._go(row)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._point_at(self._noise_at(event.position().x()))

    # painting: axes, the fader's hairline, lines, what is read

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(theme.font(theme.tokens.tiny))
        if self.row_count():
            self._paint_axes(painter)
            self._paint_hairlines(painter)
            for line in self._lines:
                self._paint_line(painter, line)
            self._paint_legend(painter)
        else:
            painter.setFont(theme.font(theme.tokens.small))
            painter.setPen(theme.colour("text_dim"))
            flags = Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignCenter
            painter.drawText(QRectF(self.rect()).adjusted(24, 8, -24, -8), flags, self._empty)
        if self.hasFocus():
            focus_ring(painter, QRectF(self.rect()))
        painter.end()

    def _paint_axes(self, painter: QPainter) -> None:
        flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for quarter in range(5):
            share = self._most * quarter / 4
            y = round(self.y_of(share)) + 0.5
            painter.setPen(QPen(theme.colour("line"), 1))
            painter.drawLine(QPointF(LEFT, y), QPointF(self.width() - RIGHT, y))
            if quarter % 2 == 0:
                painter.setPen(theme.colour("text_dim"))
                painter.drawText(QRectF(0, y - 8, LEFT - 6, 16), flags, f"{100 * share:.0f} %")
        quiet, loud = self._range
        ticks = [None, *(quiet - 10 * step for step in range(int((quiet - loud) // 10) + 1))]
        painter.setPen(theme.colour("text_dim"))
        for snr in ticks:
            words = "clean" if snr is None else _figure(snr) + (" dB" if snr == loud else "")
            left = min(self.x_of(snr) - 24, self.width() - 48.0)
            room = QRectF(left, self.height() - BOTTOM + 4, 48, 16)
            at_end = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(room, at_end if snr == loud else Qt.AlignmentFlag.AlignCenter, words)

    def _paint_hairlines(self, painter: QPainter) -> None:
        bottom = self.height() - BOTTOM
        painter.setPen(QPen(theme.colour("edge"), 1, Qt.PenStyle.DotLine))
        x = round(self.x_of(self._now)) + 0.5
        painter.drawLine(QPointF(x, TOP), QPointF(x, bottom))
        if self._hover >= 0 or self.hasFocus():
            painter.setPen(QPen(theme.colour("text"), 1))
            x = round(self.x_of(self.noises[self._read])) + 0.5
            painter.drawLine(QPointF(x, TOP), QPointF(x, bottom))

    def _paint_line(self, painter: QPainter, line: SnrLine) -> None:
        points = [QPointF(self.x_of(snr), self.y_of(share)) for snr, share in line.points]
        ends = [QPointF(self.width() - RIGHT, points[0].y())] if line.is_flat and points else []
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(hue_colour(line.hue), 1.5, DASHES[line.mark]))
        painter.drawPolyline(QPolygonF([*points, *ends]))
        for point in points:
            paint_mark(painter, point, line.hue, line.mark)

    def _paint_legend(self, painter: QPainter) -> None:
        """What is read, else what the lines are."""
        painter.setPen(theme.colour("text"))
        if self._hover >= 0 or self.hasFocus():
            room = QRectF(LEFT, 0, self.width() - LEFT, TOP - 4)
            words = painter.fontMetrics().elidedText(
                self.words, Qt.TextElideMode.ElideRight, int(room.width())
            )
            painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, words)
            return
        x = LEFT
        for line in self._lines:
            if line.points:
                paint_mark(painter, QPointF(x + MARK, TOP / 2 - 2), line.hue, line.mark)
                painter.setPen(theme.colour("text"))
                wide = painter.fontMetrics().horizontalAdvance(line.label)
                painter.drawText(
                    QRectF(x + 14, 0, wide + 2, TOP - 4), Qt.AlignmentFlag.AlignVCenter, line.label
                )
                x += 14 + wide + 16


def paint_mark(painter: QPainter, at: QPointF, hue: int, mark: int) -> None:
    """A circle, a square or a triangle in an expert's colour."""
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(hue_colour(hue))
    if mark == 0:
        painter.drawEllipse(at, MARK, MARK)
    elif mark == 1:
        painter.drawRect(QRectF(at.x() - MARK, at.y() - MARK, 2 * MARK, 2 * MARK))
    else:
        corners = [QPointF(0, -MARK - 1), QPointF(MARK + 1, MARK), QPointF(-MARK - 1, MARK)]
        painter.drawPolygon(QPolygonF([at + corner for corner in corners]))


def _noise(snr: float | None) -> str:
    return "Clean" if snr is None else f"{_figure(snr)} dB"


def _figure(snr: float) -> str:
    return f"{snr:.0f}".replace("-", "\N{MINUS SIGN}")

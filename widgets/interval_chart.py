"""Values with their intervals, one to a row, beside a yardstick: which are apart, and which overlap.

A dot and a line from low to high for each row, a hairline through all rows for the yardstick. Small dots show
what a value is the mean of: all of them in the current row, one that is brought out in every row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from widgets.painting import focus_ring
from widgets.row_reader import RowReader
from widgets.theme import theme

__all__ = ["IntervalChart", "IntervalRow"]

ROW = 20
HEAD = 22
FOOT = 6
DOT, SMALL = 4.5, 2.5
LABEL_MOST = 220.0
PAD = 12.0
GRID = 0.3


@dataclass(frozen=True)
class IntervalRow:
    """``parts`` are what the value is the mean of, by name; ``missing`` says why there is no value."""

    key: str
    label: str
    value: float = 0.0
    low: float = 0.0
    high: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict)
    is_ours: bool = False
    missing: str = ""
    places: int = 2

    @property
    def words(self) -> str:
        if self.missing:
            return f"{self.label}: {self.missing}"
        value, low, high = (f"{number:.{self.places}f}" for number in (self.value, self.low, self.high))
        parts = [f"{name} {number:.{self.places}f}" for name, number in self.parts.items()]
        return " · ".join([f"{self.label} {value} ({low} to {high})", *parts])


class IntervalChart(RowReader):
    """``current_changed(key)``: a person went to another row."""

    current_changed = Signal(str)

    def __init__(self, words: str, parent: QWidget | None = None) -> None:
        super().__init__(words, parent)
        self._rows: list[IntervalRow] = []
        self._line: float | None = None
        self._most = 1.0
        self._part = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_rows(self, rows: Sequence[IntervalRow], line: float | None = None, most: float = 1.0) -> None:
        """Show ``rows`` from above; the axis goes from 0 to ``most``, the yardstick stands at ``line``."""
        current = self.current
        self._rows, self._line, self._most = list(rows), line, max(most, 1e-6)
        keys = [row.key for row in self._rows]
        self._current = keys.index(current) if current in keys else 0
        self._hover = -1
        self.updateGeometry()
        self._say()

    def bring_out(self, part: str) -> None:
        """Show one part's small dot in every row; "" for none."""
        self._part = part
        self.update()

    def set_current(self, key: str) -> None:
        """Show the cursor on a row, as when it was chosen elsewhere."""
        keys = [row.key for row in self._rows]
        if key in keys and keys.index(key) != self._current:
            self._current = keys.index(key)
            self._say()

    @property
    def current(self) -> str:
        return self._rows[self._current].key if self._current < len(self._rows) else ""

    def row_count(self) -> int:
        return len(self._rows)

    def row_words(self, row: int) -> str:
        return self._rows[row].words

    # geometry

    def sizeHint(self) -> QSize:
        return QSize(420, HEAD + ROW * len(self._rows) + FOOT)

    def minimumSizeHint(self) -> QSize:
        return QSize(260, self.sizeHint().height())

    def row_rect(self, index: int) -> QRectF:
        return QRectF(0, HEAD + ROW * index, self.width(), ROW)

    def _left(self) -> float:
        metrics = QFontMetricsF(theme.font(theme.tokens.tiny))
        widest = max((metrics.horizontalAdvance(row.label) for row in self._rows), default=0.0)
        return min(LABEL_MOST, widest + 2) + 2 * PAD

    def x_of(self, value: float) -> float:
        """Where a value stands; values beyond the axis stand at its end."""
        share = min(1.0, max(0.0, value / self._most))
        return self._left() + share * (self.width() - self._left() - 2 * PAD)

    def row_at(self, y: float) -> int:
        row = int((y - HEAD) // ROW)
        return row if y >= HEAD and row < len(self._rows) else -1

    # going from row to row

    def _go(self, row: int) -> None:
        is_other = row != self._current
        super()._go(row)
        if is_other:
            self.current_changed.emit(self.current)

    # painting: the axis, the yardstick, the rows, the cursor

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(theme.font(theme.tokens.tiny))
        if self._rows:
            self._paint_axis(painter)
            for index, row in enumerate(self._rows):
                self._paint_row(painter, index, row)
        painter.end()

    def _paint_axis(self, painter: QPainter) -> None:
        bottom = HEAD + ROW * len(self._rows)
        for quarter in range(5):
            value = self._most * quarter / 4
            x = round(self.x_of(value)) + 0.5
            painter.setPen(QPen(theme.colour("edge", GRID), 1))
            painter.drawLine(QPointF(x, HEAD), QPointF(x, bottom))
            painter.setPen(theme.colour("text_dim"))
            painter.drawText(QRectF(x - 30, 0, 60, HEAD), Qt.AlignmentFlag.AlignCenter, f"{value:.2f}")
        if self._line is not None:
            x = round(self.x_of(self._line)) + 0.5
            painter.setPen(QPen(theme.colour("text"), 1))
            painter.drawLine(QPointF(x, HEAD - 4), QPointF(x, bottom + 2))

    def _paint_row(self, painter: QPainter, index: int, row: IntervalRow) -> None:
        rect = self.row_rect(index)
        is_current = index == self._current
        if is_current or index == self._hover:
            painter.fillRect(rect.adjusted(2, 1, -2, -1), theme.colour("accent", 0.12))
        left = self._left()
        middle = rect.center().y()
        ink = "accent" if row.is_ours else "text"
        painter.setPen(theme.colour("text_dim" if row.missing else ink))
        label = QRectF(PAD, rect.top(), left - 2 * PAD, ROW)
        self._write(painter, label, row.label, Qt.AlignmentFlag.AlignRight)
        if row.missing:
            room = QRectF(left + PAD / 2, rect.top(), self.width() - left - PAD, ROW)
            self._write(painter, room, row.missing, Qt.AlignmentFlag.AlignLeft)
        else:
            painter.setPen(QPen(theme.colour(ink), 2))
            painter.drawLine(QPointF(self.x_of(row.low), middle), QPointF(self.x_of(row.high), middle))
            painter.setBrush(theme.colour(ink))
            painter.setPen(QPen(theme.colour("surface"), 1))
            painter.drawEllipse(QPointF(self.x_of(row.value), middle), DOT, DOT)
            self._paint_parts(painter, index, row, middle)
        if is_current and self.hasFocus():
            focus_ring(painter, rect.adjusted(1, 0, -1, 0))

    def _paint_parts(self, painter: QPainter, index: int, row: IntervalRow, middle: float) -> None:
        is_read = index == self._read
        painter.setPen(QPen(theme.colour("text"), 1))
        for name, value in row.parts.items():
            if is_read or name == self._part:
                size = DOT - 1 if name == self._part else SMALL
                painter.setBrush(theme.colour("warn" if name == self._part else "raised"))
                painter.drawEllipse(QPointF(self.x_of(value), middle), size, size)

    def _write(self, painter: QPainter, rect: QRectF, words: str, side: Qt.AlignmentFlag) -> None:
        shown = painter.fontMetrics().elidedText(words, Qt.TextElideMode.ElideRight, round(rect.width()))
        painter.drawText(rect, side | Qt.AlignmentFlag.AlignVCenter, shown)

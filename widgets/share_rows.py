"""Who has how much, row by row: a stacked band of experts for every layer or projection, in columns.

Rows are (layer, projection) in the model's order, so that a column read downwards is a history by depth. At
the end of each row may stand a note, and an amount as a bar.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from widgets.gate_grid import short
from widgets.painting import fill_hue, focus_ring
from widgets.row_reader import RowReader
from widgets.theme import theme

__all__ = ["ShareRows"]

LEAST, MOST = 14, 24
GAP = 4
FOOT = 4
HEAD = 20
PAD = 8.0
BETWEEN = 12.0
AMOUNT = 56.0
SPOKEN = 3


class ShareRows(RowReader):
    """A band for each column in every row."""

    def __init__(self, words: str, parent: QWidget | None = None) -> None:
        super().__init__(words, parent)
        self._rows: list[tuple[int, str]] = []
        self._columns: list[str] = []
        self._experts: list[str] = []
        self._hues: list[int] = []
        self._shares: NDArray[np.float32] = np.zeros((0, 0, 0), np.float32)
        self._notes: list[str] = []
        self._amounts: list[float] = []
        self._tops: list[int] = []
        self._high, self._needs = LEAST, 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def set_shares(
        self,
        rows: Sequence[tuple[int, str]],
        columns: Sequence[str],
        experts: Sequence[str],
        hues: Sequence[int],
        shares: NDArray[np.float32],
        notes: Sequence[str] = (),
        amounts: Sequence[float] = (),
    ) -> None:
        """Show ``shares`` [columns, rows, experts]; ``notes`` and ``amounts`` (0..1) one to a row, or none.

        A projection of "" is all of its layer's. ValueError when the shapes do not agree.
        """
        if shares.shape != (len(columns), len(rows), len(experts)):
            raise ValueError(
                f"shares {shares.shape} are not [{len(columns)} columns, {len(rows)} rows, "
                f"{len(experts)} experts]"
            )
        self._rows, self._columns = list(rows), list(columns)
        self._experts, self._hues = list(experts), list(hues)
        self._shares, self._notes, self._amounts = shares, list(notes), list(amounts)
        self._current, self._hover = min(self._current, max(0, len(rows) - 1)), -1
        self._stack()
        self.updateGeometry()
        self._say()

    def row_count(self) -> int:
        return len(self._rows)

    def row_words(self, row: int) -> str:
        layer, projection = self._rows[row]
        said = [f"layer {layer} {projection or 'all projections'}"]
        for column, title in enumerate(self._columns):
            shares = self._shares[column, row]
            loudest = np.argsort(shares)[::-1][:SPOKEN]
            words = ", ".join(f"{self._experts[place]} {shares[place]:.2f}" for place in loudest)
            said.append(f"{title}: {words}" if len(self._columns) > 1 else words)
        if self._amounts:
            said.append(f"apart by {self._amounts[row]:.2f}")
        return " · ".join(said)

    # geometry

    def _stack(self) -> None:
        """Row tops in pixels: as high as there is room for, with a gap between layers of several rows."""
        head = HEAD if len(self._columns) > 1 else 2
        gaps = [
            GAP if row and projection and self._rows[row - 1][0] != layer else 0
            for row, (layer, projection) in enumerate(self._rows)
        ]
        fixed, count = head + sum(gaps) + FOOT, max(1, len(self._rows))
        self._needs = fixed + LEAST * len(self._rows)
        self.setMaximumHeight(fixed + MOST * len(self._rows))
        self._high = max(LEAST, min(MOST, (self.height() - fixed) // count))
        self._tops = [head + sum(gaps[: row + 1]) + self._high * row for row in range(len(self._rows))]

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._stack()

    def sizeHint(self) -> QSize:
        return QSize(320, self._needs)

    def minimumSizeHint(self) -> QSize:
        return QSize(180, self._needs)

    def _advance(self, texts: Sequence[str]) -> float:
        metrics = QFontMetricsF(theme.font(theme.tokens.tiny))
        return max((metrics.horizontalAdvance(text) for text in texts), default=0.0)

    def _label(self, row: int) -> str:
        layer, projection = self._rows[row]
        return f"{layer} {short(projection)}".strip()

    def band_rect(self, column: int, row: int) -> QRectF:
        """Where the shares of one column are painted in a row."""
        left = self._advance([self._label(each) for each in range(len(self._rows))]) + 2 * PAD
        right = self._advance(self._notes) + (PAD if self._notes else 0) + (AMOUNT if self._amounts else 0)
        room = self.width() - left - right - PAD - BETWEEN * (len(self._columns) - 1)
        width = max(8.0, room / max(1, len(self._columns)))
        return QRectF(left + column * (width + BETWEEN), self._tops[row] + 1, width, self._high - 2)

    def row_at(self, y: float) -> int:
        found = [row for row, top in enumerate(self._tops) if top <= y < top + self._high]
        return found[0] if found else -1

    # painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(theme.font(theme.tokens.tiny))
        if self._rows and len(self._columns) > 1:
            self._paint_head(painter)
        for row in range(len(self._rows)):
            self._paint_row(painter, row)
        painter.end()

    def _paint_head(self, painter: QPainter) -> None:
        painter.setPen(theme.colour("text_dim"))
        for column, title in enumerate(self._columns):
            band = self.band_rect(column, 0)
            room = QRectF(band.left(), 0, band.width(), HEAD)
            words = painter.fontMetrics().elidedText(title, Qt.TextElideMode.ElideRight, int(room.width()))
            painter.drawText(room, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, words)

    def _paint_row(self, painter: QPainter, row: int) -> None:
        whole = QRectF(0, self._tops[row], self.width(), self._high)
        is_read = row == self._read
        band = self.band_rect(0, row)
        painter.setPen(theme.colour("text" if is_read else "text_dim"))
        label = QRectF(0, whole.top(), band.left() - PAD, whole.height())
        painter.drawText(label, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, self._label(row))
        for column in range(len(self._columns)):
            self._paint_band(painter, self.band_rect(column, row), self._shares[column, row])
        self._paint_end(painter, row, self.band_rect(len(self._columns) - 1, row).right() + PAD)
        if is_read:
            painter.setPen(QPen(theme.colour("text"), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            for column in range(len(self._columns)):
                painter.drawRect(self.band_rect(column, row).adjusted(-0.5, -0.5, 0.5, 0.5))
        if row == self._current and self.hasFocus():
            focus_ring(painter, whole.adjusted(1, -1, -1, 1), 3)

    def _paint_band(self, painter: QPainter, band: QRectF, shares: NDArray[np.float32]) -> None:
        painter.fillRect(band, theme.colour("raised"))
        # Gates that do not share out 1 (a sigmoid's) may say more together; then the band is all of it.
        unit = band.width() / max(1.0, float(shares.sum()))
        left = band.left()
        for hue, share in zip(self._hues, shares, strict=True):
            width = float(share) * unit
            if width > 0.3:
                fill_hue(painter, QRectF(left, band.top(), width, band.height()), hue)
            left += width

    def _paint_end(self, painter: QPainter, row: int, left: float) -> None:
        top, high = self._tops[row], self._high
        if self._amounts:
            length = (AMOUNT - PAD) * min(1.0, max(0.0, self._amounts[row]))
            painter.setPen(QPen(theme.colour("accent"), 3, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap))
            painter.drawLine(QPointF(left, top + high / 2), QPointF(left + length, top + high / 2))
            left += AMOUNT
        if self._notes:
            painter.setPen(theme.colour("text"))
            room = QRectF(left, top, self.width() - left, high)
            painter.drawText(
                room, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, self._notes[row]
            )

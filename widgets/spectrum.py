"""Singular values as a heat map: a row to each projection, a column to each rank, and where a rank cuts.

What is kept is painted in full, what is cut off is dimmed behind a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QFontMetricsF,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from widgets.gate_grid import short
from widgets.heat import heat
from widgets.painting import focus_ring
from widgets.theme import theme

__all__ = ["SpectrumMap"]

HEAD = 20
PAD = 8.0
LOWEST, HIGHEST = 5.0, 22.0
READABLE = 13.0
LABEL_MOST = 116.0
NUMBER_GAP = 8.0
DIMMED = 0.72


class SpectrumMap(QWidget):
    """Rows are named (group, name): the layer and the projection in it.

    ``cell_read(words)``: what stands under mouse or cursor. ``picked(column)``: clicked, or Enter at the
    cursor; columns count from 0.
    """

    cell_read = Signal(str)
    picked = Signal(int)

    def __init__(self, words: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: list[tuple[str, str]] = []
        self._values: list[list[float]] = []
        self._kept: list[int] = []
        self._is_log = False
        self._heat: NDArray[np.float64] = np.zeros((0, 0))
        self._image = QImage()
        self._left = float(PAD)
        self._cursor = (0, 0)
        self._hover: tuple[int, int] | None = None
        self.setAccessibleName(words)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        theme.changed.connect(self._colour)

    # values in

    def set_values(self, rows: Sequence[tuple[str, str]], values: Sequence[Sequence[float]]) -> None:
        """Show each row's values, largest first."""
        self._rows, self._values = list(rows), [list(row) for row in values]
        self._kept = [len(row) for row in self._values]
        self._cursor, self._hover = (0, 0), None
        metrics = QFontMetricsF(theme.font(theme.tokens.tiny))
        widest = max((metrics.horizontalAdvance(_label(row)) for row in self._rows), default=0.0)
        self._left = min(LABEL_MOST, ceil(widest) + 2) + PAD
        self._warm()
        self.updateGeometry()
        self._say()

    def set_log(self, on: bool) -> None:
        """Colour by decades below the largest value, instead of by the share of it."""
        self._is_log = on
        self._warm()

    def set_kept(self, kept: Sequence[int]) -> None:
        """How many values of each row are kept."""
        if list(kept) != self._kept:
            self._kept = list(kept)
            self._say()

    @property
    def columns(self) -> int:
        return int(self._heat.shape[1])

    @property
    def words(self) -> str:
        """What is said of the cell under the mouse, or else at the cursor."""
        row, column = self._hover or self._cursor
        if row >= len(self._rows):
            return ""
        where = " ".join(part for part in self._rows[row] if part)
        if column >= len(self._values[row]):
            return f"{where} has {len(self._values[row])} ranks"
        value, most = self._values[row][column], max(max(values, default=0.0) for values in self._values)
        share = f"{100 * value / most:.1f} % of the largest" if most > 0 else "nothing"
        state = "kept" if column < self._kept[row] else "cut off"
        return f"{where}, direction {column + 1}: {value:.3g}, {share}; {state}"

    def _warm(self) -> None:
        self._heat = heat(self._values, is_log=self._is_log)
        self._colour()

    def _colour(self) -> None:
        """The image of one pixel to a cell, RGBA."""
        pixels = np.zeros((*self._heat.shape, 4), np.uint8)
        pixels[..., :3] = theme.colour("accent").getRgb()[:3]
        pixels[..., 3] = np.round(255 * self._heat)
        pixels = np.ascontiguousarray(pixels)
        rows, columns = self._heat.shape
        picture = QImage(pixels.data, columns, rows, 4 * columns, QImage.Format.Format_RGBA8888)
        self._image = picture.copy()  # which owns its bytes
        self.update()

    def _say(self) -> None:
        self.setAccessibleDescription(self.words)
        self.cell_read.emit(self.words)
        self.update()

    # geometry

    def sizeHint(self) -> QSize:
        return QSize(240, round(HEAD + HIGHEST * len(self._rows)) + 2)

    def minimumSizeHint(self) -> QSize:
        return QSize(160, round(HEAD + LOWEST * len(self._rows)) + 2)

    @property
    def _height(self) -> float:
        room = (self.height() - HEAD - 2) / max(1, len(self._rows))
        return float(int(max(LOWEST, min(HIGHEST, room))))

    def cell_rect(self, row: int, column: int) -> QRectF:
        wide = (self.width() - self._left - 2) / max(1, self.columns)
        return QRectF(self._left + wide * column, HEAD + self._height * row, wide, self._height)

    def cell_at(self, point: QPointF) -> tuple[int, int] | None:
        """(row, column) under a point; None where there is none."""
        if not self._rows or point.x() < self._left or point.y() < HEAD:
            return None
        column = int((point.x() - self._left) * self.columns / (self.width() - self._left - 2))
        row = int((point.y() - HEAD) / self._height)
        return (row, column) if row < len(self._rows) and column < self.columns else None

    # events

    def keyPressEvent(self, event: QKeyEvent) -> None:
        row, column = self._cursor
        moves = {
            Qt.Key.Key_Up: (row - 1, column),
            Qt.Key.Key_Down: (row + 1, column),
            Qt.Key.Key_Left: (row, column - 1),
            Qt.Key.Key_Right: (row, column + 1),
            Qt.Key.Key_Home: (row, 0),
            Qt.Key.Key_End: (row, self.columns - 1),
        }
        key = Qt.Key(event.key())
        if key in moves and self._rows:
            self._move(*moves[key])
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._rows:
            self.picked.emit(column)
        else:
            super().keyPressEvent(event)

    def _move(self, row: int, column: int) -> None:
        self._cursor = (max(0, min(row, len(self._rows) - 1)), max(0, min(column, self.columns - 1)))
        self._hover = None
        self._say()
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, self.words))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        cell = self.cell_at(event.position())
        if cell is not None and event.button() == Qt.MouseButton.LeftButton:
            self._cursor = cell
            self._say()
            self.picked.emit(cell[1])

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._point_at(self.cell_at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        self._point_at(None)

    def _point_at(self, cell: tuple[int, int] | None) -> None:
        if cell != self._hover:
            self._hover = cell
            self._say()

    # painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setFont(theme.font(theme.tokens.tiny))
        if self._rows and self.columns:
            self._paint_cells(painter)
            self._paint_cut(painter)
            self._paint_ranks(painter)
            self._paint_names(painter)
            self._paint_cursor(painter)
        painter.end()

    def _paint_cells(self, painter: QPainter) -> None:
        first, last = self.cell_rect(0, 0), self.cell_rect(len(self._rows) - 1, self.columns - 1)
        field = first.united(last)
        painter.fillRect(field, theme.colour("raised"))
        painter.drawImage(field, self._image, QRectF(self._image.rect()))
        if self._height >= READABLE:
            painter.setPen(QPen(theme.colour("surface"), 1))
            for row in range(1, len(self._rows)):
                y = self.cell_rect(row, 0).top()
                painter.drawLine(QPointF(field.left(), y), QPointF(field.right(), y))

    def _paint_cut(self, painter: QPainter) -> None:
        """The staircase between what is kept and what is cut off."""
        line = QPainterPath()
        dim = theme.colour("ground", DIMMED)
        for row, kept in enumerate(self._kept):
            end = self.cell_rect(row, self.columns - 1)
            x = self.cell_rect(row, kept).left()
            painter.fillRect(QRectF(x, end.top(), end.right() - x, end.height()), dim)
            for y in (end.top(), end.bottom()):
                if line.elementCount():
                    line.lineTo(x, y)
                else:
                    line.moveTo(x, y)
        painter.setPen(QPen(theme.colour("text"), 2 if self._height >= READABLE else 1))
        painter.drawPath(line)

    def _paint_ranks(self, painter: QPainter) -> None:
        """Numbers above the columns, as many as there is room for."""
        metrics = QFontMetricsF(painter.font())
        wide = self.cell_rect(0, 0).width()
        step = 1
        while step * wide < metrics.horizontalAdvance(str(self.columns)) + NUMBER_GAP:
            step *= 2
        painter.setPen(theme.colour("text_dim"))
        for column in range(0 if step == 1 else step - 1, self.columns, step):
            cell = self.cell_rect(0, column)
            where = QRectF(cell.center().x() - 20, 0, 40, HEAD)
            painter.drawText(where, Qt.AlignmentFlag.AlignCenter, str(column + 1))

    def _paint_names(self, painter: QPainter) -> None:
        """Every row by name where there is room; else each group once, and the row that is read."""
        current = (self._hover or self._cursor)[0]
        labels = {row: _label(names) for row, names in enumerate(self._rows)}
        if self._height < READABLE:
            middles: dict[str, list[int]] = {}
            for row, (group, _) in enumerate(self._rows):
                middles.setdefault(group, []).append(row)
            chosen = self._rows[current][0]
            labels = {rows[len(rows) // 2]: group for group, rows in middles.items() if group != chosen}
            labels = self._apart(labels) | {current: _label(self._rows[current])}
        for row, words in labels.items():
            painter.setPen(theme.colour("text" if row == current else "text_dim"))
            middle = self.cell_rect(row, 0).center().y()
            where = QRectF(0, middle - 8, self._left - PAD, 16)
            shown = painter.fontMetrics().elidedText(
                words, Qt.TextElideMode.ElideMiddle, round(where.width())
            )
            painter.drawText(where, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, shown)

    def _apart(self, labels: dict[int, str]) -> dict[int, str]:
        """Only labels that do not touch each other or that of the row which is read."""
        current = (self._hover or self._cursor)[0]
        least = READABLE / self._height
        shown: dict[int, str] = {}
        for row, words in labels.items():
            if all(abs(row - other) >= least for other in (current, *shown)):
                shown[row] = words
        return shown

    def _paint_cursor(self, painter: QPainter) -> None:
        if self._hover is not None:
            painter.setPen(QPen(theme.colour("text"), 1))
            painter.drawRect(self.cell_rect(*self._hover))
        if self.hasFocus():
            focus_ring(painter, self.cell_rect(*self._cursor).adjusted(-2, -2, 2, 2), 3)


def _label(row: tuple[str, str]) -> str:
    return f"{row[0]} {short(row[1])}".strip()

"""The painting of a routing map: cells, then what they are named by, then where mouse and keyboard are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QImage, QPainter, QPen

from widgets.gate_grid import GateGrid, certainty, short, visible
from widgets.map_layout import CORNER, HEAD, PAD, MapLayout
from widgets.painting import fill_hue, focus_ring, hue_colour, is_patterned
from widgets.theme import theme

__all__ = ["MapPainter", "coloured"]

SILENT = 0.2
READABLE = 14.0


def coloured(grid: GateGrid, hues: Sequence[int], silent: set[str]) -> NDArray[np.uint8]:
    """[rows, tokens, 4]: the hue of each cell's loudest expert, its certainty as opacity, RGBA."""
    rows, tokens, experts = grid.shown.shape
    pixels = np.zeros((rows, max(1, tokens), 4), np.uint8)
    if grid.shown.size:
        leader = grid.shown.argmax(axis=2)
        alpha = certainty(grid.shown.max(axis=2), experts)
        colours = np.array([hue_colour(hue).getRgb()[:3] for hue in hues], np.uint8)
        is_silent = np.array([name in silent for name in grid.experts])
        alpha = np.where(is_silent[leader], alpha * SILENT, alpha)
        pixels[:, :, :3] = colours[leader]
        pixels[:, :, 3] = np.round(255 * alpha)
    return pixels


@dataclass(frozen=True)
class MapPainter:
    """One picture of a map: what stands where, seen from ``origin`` through a view of ``size``."""

    grid: GateGrid
    layout: MapLayout
    hues: Sequence[int]
    pixels: NDArray[np.uint8]
    image: QImage
    start: int
    origin: QPointF
    size: QSize
    cursor: tuple[int, int]
    hover: tuple[int, int] | None
    has_focus: bool

    def paint(self, painter: QPainter) -> None:
        left = self.layout.left
        columns = self.layout.columns_between(left - self.origin.x(), self.size.width() - self.origin.x())
        self._paint_cells(painter, columns)
        self._paint_tokens(painter, columns)
        self._paint_rows(painter)
        self._paint_cursor(painter)

    def cell_rect(self, token: int, row: int) -> QRectF:
        return self.layout.cell(token, row).translated(self.origin)

    def _paint_cells(self, painter: QPainter, columns: range) -> None:
        left = self.layout.left
        painter.save()
        painter.setClipRect(QRectF(left, HEAD, self.size.width() - left, self.size.height() - HEAD))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
        ground = theme.colour("raised")
        for row in range(len(self.grid.rows)):
            for column in columns:
                rect = self.cell_rect(column, row).adjusted(0, 0, -1, -1)
                painter.fillRect(rect, ground)
                painter.drawImage(rect, self.image, QRectF(column, row, 1, 1))
        for column in columns:
            self._paint_patterns(painter, column)
        painter.restore()

    def _paint_patterns(self, painter: QPainter, column: int) -> None:
        if not any(is_patterned(hue) for hue in self.hues):
            return
        for row in range(len(self.grid.rows)):
            hue = self.hues[int(self.grid.shown[row, column].argmax())]
            if is_patterned(hue):
                fill_hue(painter, self.cell_rect(column, row), hue, self.pixels[row, column, 3] / 255)

    def _paint_tokens(self, painter: QPainter, columns: range) -> None:
        left = self.layout.left
        painter.save()
        painter.setClipRect(QRectF(left, 0, self.size.width() - left, HEAD))
        current = (self.hover or self.cursor)[0]
        for column in columns:
            rect = self.cell_rect(column, 0)
            head = QRectF(rect.left(), 0, rect.width() - 1, HEAD)
            is_answer = column >= self.start
            painter.setPen(theme.colour("text" if is_answer or column == current else "text_dim"))
            words = painter.fontMetrics().elidedText(
                visible(self.grid.tokens[column]), Qt.TextElideMode.ElideRight, round(head.width())
            )
            painter.drawText(head, Qt.AlignmentFlag.AlignCenter, words)
        painter.setClipping(False)
        painter.setPen(theme.colour("text_dim"))
        corner = QRectF(0, 0, left - PAD, HEAD)
        painter.drawText(corner, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, CORNER)
        if 0 < self.start < len(self.grid.tokens):
            x = self.cell_rect(self.start, 0).left() - 1
            painter.setPen(QPen(theme.colour("edge"), 1))
            painter.drawLine(QPointF(x, 2), QPointF(x, HEAD - 2))
        painter.restore()

    def _paint_rows(self, painter: QPainter) -> None:
        painter.save()
        painter.setClipRect(QRectF(0, HEAD - 4, self.layout.left, self.size.height() - HEAD + 4))
        current = (self.hover or self.cursor)[1]
        flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for row, words in self._row_labels(current):
            middle = self.origin.y() + self.layout.tops[row] + self.layout.row_height / 2
            painter.setPen(theme.colour("text" if row == current else "text_dim"))
            painter.drawText(QRectF(0, middle - 8, self.layout.left - PAD, 16), flags, words)
        painter.restore()

    def _row_labels(self, current: int) -> list[tuple[int, str]]:
        """Every row by name where there is room; else each layer by number, and the current row by name."""
        if self.layout.row_height >= READABLE:
            return [
                (row, f"{layer} {short(projection)}")
                for row, (layer, projection) in enumerate(self.grid.rows)
            ]
        chosen_layer, projection = self.grid.rows[current]
        rows_of: dict[int, list[int]] = {}
        for row, (layer, _) in enumerate(self.grid.rows):
            rows_of.setdefault(layer, []).append(row)
        labels = [
            (rows[len(rows) // 2], str(layer)) for layer, rows in rows_of.items() if layer != chosen_layer
        ]
        return [*labels, (current, f"{chosen_layer} {short(projection)}")]

    def _paint_cursor(self, painter: QPainter) -> None:
        top, bottom = self.cell_rect(self.cursor[0], 0), self.cell_rect(self.cursor[0], -1)
        if top.right() > self.layout.left:
            column = QRectF(top.left(), 1, top.width(), bottom.bottom() - 1).adjusted(-0.5, 0, -0.5, 0)
            painter.setPen(QPen(theme.colour("accent"), 1))
            painter.drawRoundedRect(column, 2, 2)
        if self.hover is not None:
            painter.setPen(QPen(theme.colour("text"), 1))
            painter.drawRect(self.cell_rect(*self.hover).adjusted(-0.5, -0.5, -0.5, -0.5))
        if self.has_focus:
            focus_ring(painter, self.cell_rect(*self.cursor).adjusted(-1.5, -1.5, 0.5, 0.5), 3)

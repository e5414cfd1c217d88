"""Who spoke here, and how sure: a heat map of token x layer x projection that grows while tokens stream.

One column per token, one row per layer (or per layer and projection). A cell wears the hue of its loudest
expert; its opacity is that expert's gate, from chance (all experts alike) to certainty: undecided cells fade.
Columns never move once they are painted: room for an answer as long as its prompt is kept from the start.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QFocusEvent,
    QFontMetricsF,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QWidget

from widgets.gate_grid import EACH, GateGrid, certainty, short, visible
from widgets.painting import fill_hue, focus_ring, hue_colour, is_patterned
from widgets.theme import theme

__all__ = ["RoutingMap"]

SILENT = 0.2
NARROWEST, LONGEST, WIDEST = 14.0, 44.0, 40.0
LOWEST, HIGHEST = 8.0, 34.0
LAYER_GAP = 3.0
READABLE = 12.0
HEAD = 22
PAD = 6.0
CORNER = "layer"


class RoutingMap(QAbstractScrollArea):
    """``cell_changed(text)``: what the cell under mouse or cursor says; ``token_selected(index)``: where.

    Arrow keys move the cursor, Home and End along the tokens, Page Up and Page Down by four layers.
    """

    cell_changed = Signal(str)
    token_selected = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid = GateGrid()
        self._hues: list[int] = []
        self._silent: set[str] = set()
        self._start = 0
        self._view = EACH
        self._image = QImage()
        self._spare = self._left = 0.0
        self._edges: list[float] = [0.0]
        self._tops: list[float] = [0.0]
        self._row_height = HIGHEST
        self._wanted = (0, 0)
        self._hover: tuple[int, int] | None = None
        self._said = ""
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(200, 90)
        self.viewport().setMouseTracking(True)
        self.viewport().setAutoFillBackground(False)
        self.setAccessibleName("Routing map: who speaks at each token and layer")
        theme.changed.connect(self._redraw)

    # values in

    def set_routing(
        self,
        tokens: Sequence[str],
        layers: Sequence[int],
        projections: Sequence[str],
        experts: Sequence[str],
        hues: Sequence[int],
        gates: NDArray[np.float32],
        start: int = 0,
    ) -> None:
        """Show ``gates`` [tokens, modules, experts]; module m is ``projections[m]`` of layer ``layers[m]``.

        ``start`` is the first token of the answer; those before it were read, not written.
        ValueError when the shapes do not agree.
        """
        is_same_prompt = start == self._start and list(tokens[:start]) == self._grid.tokens[:start]
        self._grid = GateGrid(tokens, layers, projections, experts, gates)
        self._grid.look(self._view)
        self._hues, self._start = list(hues), start
        self._hover = None
        self._measure(keep=is_same_prompt)
        self._redraw()

    def append_token(self, token: str, gates: NDArray[np.float32]) -> None:
        """One more column at the end, gates [modules, experts]; nothing else moves."""
        across = self.horizontalScrollBar()
        is_at_end = across.value() == across.maximum()
        self._grid.append(token, gates)
        self._measure(keep=True)
        if is_at_end:
            across.setValue(across.maximum())
        self._redraw()

    def clear(self) -> None:
        self.set_routing([], [], [], [], [], np.zeros((0, 0, 0), np.float32))
        self._say("")

    def set_silent(self, experts: set[str]) -> None:
        """Dim the cells led by experts that are muted now."""
        if experts != self._silent:
            self._silent = set(experts)
            self._redraw()

    def set_view(self, view: str) -> None:
        """MEAN over the projections of a layer, EACH projection a row, or one projection by its name."""
        if view != self._view:
            self._view = view
            self._grid.look(view)
            self._measure(keep=True)
            self._redraw()

    def set_token(self, index: int) -> None:
        """Move the cursor to a token, as when it was selected in the text."""
        if 0 <= index < len(self._grid.tokens) and index != self._cursor[0]:
            self._move(index, self._cursor[1], announce=False)

    @property
    def projections(self) -> list[str]:
        """The names that ``set_view`` knows for this routing, in the model's order."""
        return self._grid.projections

    @property
    def cell_text(self) -> str:
        """What is said of the cell under the cursor."""
        return self._grid.read(*self._cursor, self._silent)

    @property
    def cell_hue(self) -> int | None:
        """The hue of who leads the cell under mouse or cursor; None where there is no cell."""
        ranking = self._grid.ranking(*(self._hover or self._cursor))
        return self._hues[self._grid.experts.index(ranking[0][0])] if ranking else None

    @property
    def _cursor(self) -> tuple[int, int]:
        """The cell under the cursor: the one wanted, or the last there is while the answer still grows."""
        token, row = self._wanted
        return min(token, max(0, len(self._grid.tokens) - 1)), min(row, max(0, len(self._grid.rows) - 1))

    # from gates to pixels

    def _measure(self, *, keep: bool = False) -> None:
        """Column edges in pixels: as wide as the token's text and a spare, which ``keep`` leaves alone."""
        metrics = QFontMetricsF(theme.font(theme.tokens.tiny))
        widths = [
            min(LONGEST, max(NARROWEST, metrics.horizontalAdvance(visible(token)) + 6))
            for token in self._grid.tokens
        ]
        self._left = self._label_room()
        if not keep and widths:
            to_come = max(0, 2 * self._start - len(widths))
            free = self.viewport().width() - self._left - sum(widths) - to_come * NARROWEST
            self._spare = min(max(0.0, free / (len(widths) + to_come)), WIDEST - NARROWEST)
        self._edges = [0.0]
        for width in widths:
            self._edges.append(self._edges[-1] + width + self._spare)
        self._stack_rows()
        self._update_bars()

    def _redraw(self) -> None:
        """Paint the cells into the image: one pixel each, scaled when shown."""
        shown = self._grid.shown
        rows, tokens, experts = shown.shape
        pixels = np.zeros((rows, max(1, tokens), 4), np.uint8)
        if shown.size:
            leader = shown.argmax(axis=2)
            alpha = certainty(shown.max(axis=2), experts)
            colours = np.array([hue_colour(hue).getRgb()[:3] for hue in self._hues], np.uint8)
            silent = np.array([name in self._silent for name in self._grid.experts])
            alpha = np.where(silent[leader], alpha * SILENT, alpha)
            pixels[:, :, :3] = colours[leader]
            pixels[:, :, 3] = np.round(255 * alpha)
        self._pixels = pixels
        self._image = QImage(
            pixels.data, pixels.shape[1], pixels.shape[0], pixels.strides[0], QImage.Format.Format_RGBA8888
        )
        self._say(self._grid.read(*(self._hover or self._cursor), self._silent))
        self.viewport().update()

    # geometry

    def _label_room(self) -> float:
        """The width that the rows' names take at the left."""
        metrics = QFontMetricsF(theme.font(theme.tokens.tiny))
        labels = [CORNER, *(f"{layer} {short(projection)}" for layer, projection in self._grid.rows)]
        return max(metrics.horizontalAdvance(label) for label in labels) + PAD

    def _stack_rows(self) -> None:
        """Row tops in pixels: as high as the view allows, with a gap between layers of several rows."""
        is_last = [
            row + 1 == len(self._grid.rows) or self._grid.rows[row + 1][0] != layer
            for row, (layer, _) in enumerate(self._grid.rows)
        ]
        gap = LAYER_GAP if self._view == EACH else 0.0
        free = self.viewport().height() - HEAD - gap * sum(is_last)
        height = float(int(max(LOWEST, min(HIGHEST, free / max(1, len(self._grid.rows))))))
        self._tops = [0.0]
        for last in is_last:
            self._tops.append(self._tops[-1] + height + (gap if last else 0.0))
        self._row_height = height

    def _update_bars(self) -> None:
        view = self.viewport().size()
        wide = self._left + self._edges[-1]
        high = HEAD + self._tops[-1]
        for bar, page, whole in (
            (self.horizontalScrollBar(), view.width(), wide),
            (self.verticalScrollBar(), view.height(), high),
        ):
            bar.setPageStep(page)
            bar.setSingleStep(20)
            bar.setRange(0, max(0, round(whole - page)))

    def _origin(self) -> QPointF:
        return QPointF(
            self._left - self.horizontalScrollBar().value(), HEAD - self.verticalScrollBar().value()
        )

    def cell_rect(self, token: int, row: int) -> QRectF:
        """Where a cell is painted, in the viewport's pixels; row -1 is the last one."""
        origin = self._origin()
        left, right = self._edges[token], self._edges[token + 1]
        top = self._tops[row] if row >= 0 else self._tops[len(self._grid.rows) + row]
        return QRectF(origin.x() + left, origin.y() + top, right - left, self._row_height)

    def cell_at(self, point: QPoint) -> tuple[int, int] | None:
        column = self._column_at(point.x())
        row = int(np.searchsorted(self._tops, point.y() - self._origin().y(), side="right")) - 1
        if column is None or point.y() < HEAD or not 0 <= row < len(self._grid.rows):
            return None
        return column, row

    def _column_at(self, x: float) -> int | None:
        if x < self._left:
            return None
        column = int(np.searchsorted(self._edges, x - self._origin().x(), side="right")) - 1
        return column if 0 <= column < len(self._grid.tokens) else None

    # words

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self.setAccessibleDescription(text)
            self.cell_changed.emit(text)

    def _move(self, token: int, row: int, *, announce: bool = True) -> None:
        if not self._grid.tokens or not self._grid.rows:
            return
        token = max(0, min(token, len(self._grid.tokens) - 1))
        row = max(0, min(row, len(self._grid.rows) - 1))
        is_other = token != self._cursor[0]
        self._wanted = (token, row)
        self._hover = None
        self._reveal()
        self._say(self.cell_text)
        self.viewport().update()
        if announce:
            QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, self._said))
            if is_other:
                self.token_selected.emit(token)

    def _reveal(self) -> None:
        rect = self.cell_rect(*self._cursor)
        across, down = self.horizontalScrollBar(), self.verticalScrollBar()
        for bar, low, high, near, far in (
            (across, rect.left(), rect.right(), self._left, self.viewport().width()),
            (down, rect.top(), rect.bottom(), HEAD, self.viewport().height()),
        ):
            if low < near:
                bar.setValue(round(bar.value() + low - near))
            elif high > far:
                bar.setValue(round(bar.value() + high - far))

    # events

    def keyPressEvent(self, event: QKeyEvent) -> None:
        token, row = self._cursor
        key = Qt.Key
        moves = {
            key.Key_Left: (token - 1, row),
            key.Key_Right: (token + 1, row),
            key.Key_Up: (token, row - 1),
            key.Key_Down: (token, row + 1),
            key.Key_Home: (0, row),
            key.Key_End: (len(self._grid.tokens) - 1, row),
            key.Key_PageUp: (token, row - 4),
            key.Key_PageDown: (token, row + 4),
        }
        if Qt.Key(event.key()) in moves and not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self._move(*moves[Qt.Key(event.key())])
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        point = event.position().toPoint()
        cell = self.cell_at(point)
        if cell is None and point.y() < HEAD and (token := self._column_at(point.x())) is not None:
            cell = (token, self._cursor[1])
        if cell is not None and event.button() == Qt.MouseButton.LeftButton:
            is_other = cell[0] != self._cursor[0]
            self._move(*cell, announce=False)
            if is_other:
                self.token_selected.emit(cell[0])

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._point_at(self.cell_at(event.position().toPoint()))

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Leave:
            self._point_at(None)
        return super().viewportEvent(event)

    def _point_at(self, cell: tuple[int, int] | None) -> None:
        if cell != self._hover:
            self._hover = cell
            self._say(self._grid.read(*(cell or self._cursor), self._silent))
            self.viewport().update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._measure()

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.viewport().update()

    def sizeHint(self) -> QSize:
        return QSize(420, HEAD + 8 * round(HIGHEST))

    # painting: cells, then what they are named by, then where mouse and keyboard are

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(theme.font(theme.tokens.tiny))
        if self._grid.rows and self._grid.tokens:
            self._paint_cells(painter)
            self._paint_tokens(painter)
            self._paint_rows(painter)
            self._paint_cursor(painter)
        if self.hasFocus():
            focus_ring(painter, QRectF(self.viewport().rect()))
        painter.end()

    def _visible_columns(self) -> range:
        offset = self.horizontalScrollBar().value()
        width = self.viewport().width() - self._left
        first = int(np.searchsorted(self._edges, offset, side="right")) - 1
        last = int(np.searchsorted(self._edges, offset + width, side="left"))
        return range(max(0, first), min(len(self._grid.tokens), last))

    def _paint_cells(self, painter: QPainter) -> None:
        left = self._left
        view = self.viewport().size()
        painter.save()
        painter.setClipRect(QRectF(left, HEAD, view.width() - left, view.height() - HEAD))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
        columns = self._visible_columns()
        ground = theme.colour("raised")
        for row in range(len(self._grid.rows)):
            for column in columns:
                rect = self.cell_rect(column, row).adjusted(0, 0, -1, -1)
                painter.fillRect(rect, ground)
                painter.drawImage(rect, self._image, QRectF(column, row, 1, 1))
        for column in columns:
            self._paint_patterns(painter, column)
        painter.restore()

    def _paint_patterns(self, painter: QPainter, column: int) -> None:
        if not any(is_patterned(hue) for hue in self._hues):
            return
        for row in range(len(self._grid.rows)):
            hue = self._hues[int(self._grid.shown[row, column].argmax())]
            if is_patterned(hue):
                fill_hue(painter, self.cell_rect(column, row), hue, self._pixels[row, column, 3] / 255)

    def _paint_tokens(self, painter: QPainter) -> None:
        left = self._left
        painter.save()
        painter.setClipRect(QRectF(left, 0, self.viewport().width() - left, HEAD))
        current = (self._hover or self._cursor)[0]
        for column in self._visible_columns():
            rect = self.cell_rect(column, 0)
            head = QRectF(rect.left(), 0, rect.width() - 1, HEAD)
            is_answer = column >= self._start
            painter.setPen(theme.colour("text" if is_answer or column == current else "text_dim"))
            words = painter.fontMetrics().elidedText(
                visible(self._grid.tokens[column]), Qt.TextElideMode.ElideRight, round(head.width())
            )
            painter.drawText(head, Qt.AlignmentFlag.AlignCenter, words)
        painter.setClipping(False)
        painter.setPen(theme.colour("text_dim"))
        corner = QRectF(0, 0, left - PAD, HEAD)
        painter.drawText(corner, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, CORNER)
        if 0 < self._start < len(self._grid.tokens):
            x = self.cell_rect(self._start, 0).left() - 1
            painter.setPen(QPen(theme.colour("edge"), 1))
            painter.drawLine(QPointF(x, 2), QPointF(x, HEAD - 2))
        painter.restore()

    def _paint_rows(self, painter: QPainter) -> None:
        painter.save()
        painter.setClipRect(QRectF(0, HEAD - 4, self._left, self.viewport().height() - HEAD + 4))
        current = (self._hover or self._cursor)[1]
        flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for row, words in self._row_labels(current):
            middle = self._origin().y() + self._tops[row] + self._row_height / 2
            painter.setPen(theme.colour("text" if row == current else "text_dim"))
            painter.drawText(QRectF(0, middle - 8, self._left - PAD, 16), flags, words)
        painter.restore()

    def _row_labels(self, current: int) -> list[tuple[int, str]]:
        """Every row by name where there is room; else each layer by number, and the current row by name."""
        if self._row_height >= READABLE:
            return [
                (row, f"{layer} {short(projection)}")
                for row, (layer, projection) in enumerate(self._grid.rows)
            ]
        chosen_layer, projection = self._grid.rows[current]
        rows_of: dict[int, list[int]] = {}
        for row, (layer, _) in enumerate(self._grid.rows):
            rows_of.setdefault(layer, []).append(row)
        labels = [
            (rows[len(rows) // 2], str(layer)) for layer, rows in rows_of.items() if layer != chosen_layer
        ]
        return [*labels, (current, f"{chosen_layer} {short(projection)}")]

    def _paint_cursor(self, painter: QPainter) -> None:
        top, bottom = self.cell_rect(self._cursor[0], 0), self.cell_rect(self._cursor[0], -1)
        if top.right() > self._left:
            column = QRectF(top.left(), 1, top.width(), bottom.bottom() - 1).adjusted(-0.5, 0, -0.5, 0)
            painter.setPen(QPen(theme.colour("accent"), 1))
            painter.drawRoundedRect(column, 2, 2)
        if self._hover is not None:
            painter.setPen(QPen(theme.colour("text"), 1))
            painter.drawRect(self.cell_rect(*self._hover).adjusted(-0.5, -0.5, -0.5, -0.5))
        if self.hasFocus():
            focus_ring(painter, self.cell_rect(*self._cursor).adjusted(-1.5, -1.5, 0.5, 0.5), 3)

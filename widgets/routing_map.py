"""Who spoke here, how sure: a heat map of token x layer x projection that grows while tokens stream.

One column per token, one row per layer (or per layer and projection). A cell wears the hue of its loudest
expert; its opacity is that expert's gate, from chance (all experts alike) to certainty: undecided cells fade.
Columns never move once they are painted: room for an answer as long as its prompt is kept from the start.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QWidget

from widgets.gate_grid import EACH, GateGrid
from widgets.map_layout import HEAD, MapLayout
from widgets.map_painter import MapPainter, coloured
from widgets.painting import focus_ring
from widgets.theme import theme

__all__ = ["RoutingMap"]

FADED = 0.4


class RoutingMap(QAbstractScrollArea):
    """``cell_changed(text)``: what the cell under mouse or cursor says; ``token_selected(index)``: where;
    ``opened(index)``: a person clicked on a token, or pressed Enter, to know more of it.

    Arrow keys move the cursor, Home and End along the tokens, Page Up and Page Down by four layers.
    """

    cell_changed = Signal(str)
    token_selected = Signal(int)
    opened = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid = GateGrid()
        self._hues: list[int] = []
        self._silent: set[str] = set()
        self._is_faded = False
        self._start = 0
        self._view = EACH
        self._image = QImage()
        self._layout = MapLayout()
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
        is_same_prompt = 0 < start == self._start and list(tokens[:start]) == self._grid.tokens[:start]
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

    def set_silent(self, experts: set[str]) -> None:
        """Dim the cells led by experts that are muted now."""
        if experts != self._silent:
            self._silent = set(experts)
            self._redraw()

    def set_faded(self, faded: bool) -> None:
        """Show that this is how the text before the one now awaited was routed."""
        if faded != self._is_faded:
            self._is_faded = faded
            self.viewport().update()

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
            self._move(index, self._cursor[1], quiet=True)

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

    # from gates to pixels, and back

    def _measure(self, *, keep: bool = False) -> None:
        """``keep`` leaves columns where they are."""
        grid, size = self._grid, self.viewport().size()
        self._layout.measure(grid.tokens, grid.rows, self._start, self._view, size, keep=keep)
        self._update_bars()

    def _redraw(self) -> None:
        """Paint the cells into the image: one pixel each, scaled when shown."""
        pixels = self._pixels = coloured(self._grid, self._hues, self._silent)
        self._image = QImage(
            pixels.data, pixels.shape[1], pixels.shape[0], pixels.strides[0], QImage.Format.Format_RGBA8888
        )
        self._say(self._grid.read(*(self._hover or self._cursor), self._silent))
        self.viewport().update()

    def _update_bars(self) -> None:
        view, layout = self.viewport().size(), self._layout
        for bar, page, whole in (
            (self.horizontalScrollBar(), view.width(), layout.left + layout.edges[-1]),
            (self.verticalScrollBar(), view.height(), HEAD + layout.tops[-1]),
        ):
            bar.setPageStep(page)
            bar.setSingleStep(20)
            bar.setRange(0, max(0, round(whole - page)))

    def _origin(self) -> QPointF:
        return QPointF(
            self._layout.left - self.horizontalScrollBar().value(), HEAD - self.verticalScrollBar().value()
        )

    def cell_rect(self, token: int, row: int) -> QRectF:
        """Where a cell is painted, in the viewport's pixels; row -1 is the last one."""
        return self._layout.cell(token, row).translated(self._origin())

    def cell_at(self, point: QPoint) -> tuple[int, int] | None:
        column, row = self._column_at(point.x()), self._layout.row_at(point.y() - self._origin().y())
        is_cell = column is not None and point.y() >= HEAD and 0 <= row < len(self._grid.rows)
        return (column, row) if is_cell else None

    def _column_at(self, x: float) -> int | None:
        if x < self._layout.left:
            return None
        column = self._layout.column_at(x - self._origin().x())
        return column if 0 <= column < len(self._grid.tokens) else None

    # words

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self.setAccessibleDescription(text)
            self.cell_changed.emit(text)

    def _move(self, token: int, row: int, *, quiet: bool = False) -> None:
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
        if not quiet:
            QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, self._said))
            if is_other:
                self.token_selected.emit(token)

    def _reveal(self) -> None:
        rect = self.cell_rect(*self._cursor)
        across, down = self.horizontalScrollBar(), self.verticalScrollBar()
        for bar, low, high, near, far in (
            (across, rect.left(), rect.right(), self._layout.left, self.viewport().width()),
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
        elif event.key() in (key.Key_Return, key.Key_Enter) and self._grid.tokens:
            self.opened.emit(token)
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        point = event.position().toPoint()
        cell = self.cell_at(point)
        if cell is None and point.y() < HEAD and (token := self._column_at(point.x())) is not None:
            cell = (token, self._cursor[1])
        if cell is not None and event.button() == Qt.MouseButton.LeftButton:
            self._move(*cell)
            self.opened.emit(cell[0])

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

    def event(self, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
            self.viewport().update()
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(theme.font(theme.tokens.tiny))
        painter.setOpacity(FADED if self._is_faded else 1.0)
        if self._grid.rows and self._grid.tokens:
            MapPainter(
                grid=self._grid,
                layout=self._layout,
                hues=self._hues,
                pixels=self._pixels,
                image=self._image,
                start=self._start,
                origin=self._origin(),
                size=self.viewport().size(),
                cursor=self._cursor,
                hover=self._hover,
                has_focus=self.hasFocus(),
            ).paint(painter)
        painter.setOpacity(1.0)
        if self.hasFocus():
            focus_ring(painter, QRectF(self.viewport().rect()))
        painter.end()

"""Where the cells of a routing map stand: columns as wide as their tokens, rows as high as there is room."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QFontMetricsF

from widgets.gate_grid import EACH, short, visible
from widgets.theme import theme

__all__ = ["CORNER", "HEAD", "HIGHEST", "PAD", "MapLayout"]

NARROWEST, LONGEST, WIDEST = 14.0, 44.0, 40.0
LOWEST, HIGHEST = 8.0, 34.0
LAYER_GAP = 3.0
HEAD = 22
PAD = 6.0
CORNER = "layer"


class MapLayout:
    """Pixels of cells, counted from the first cell's corner; ``left`` is the room for the rows' names."""

    def __init__(self) -> None:
        self.left = 0.0
        self.edges: list[float] = [0.0]
        self.tops: list[float] = [0.0]
        self.row_height = HIGHEST
        self._spare = 0.0

    def measure(
        self,
        tokens: Sequence[str],
        rows: Sequence[tuple[int, str]],
        start: int,
        view: str,
        size: QSize,
        *,
        keep: bool,
    ) -> None:
        """Stand ``rows`` (layer, projection) and ``tokens`` in a view of ``size``.

        A column is as wide as its token and a spare, which ``keep`` leaves alone so that nothing moves; else
        room is left for an answer as long as the prompt, which ends before ``start``.
        """
        metrics = QFontMetricsF(theme.font(theme.tokens.tiny))
        widths = [
            min(LONGEST, max(NARROWEST, metrics.horizontalAdvance(visible(token)) + 6)) for token in tokens
        ]
        labels = [CORNER, *(f"{layer} {short(projection)}" for layer, projection in rows)]
        self.left = max(metrics.horizontalAdvance(label) for label in labels) + PAD
        if not keep and widths:
            to_come = max(0, 2 * start - len(widths))
            free = size.width() - self.left - sum(widths) - to_come * NARROWEST
            self._spare = min(max(0.0, free / (len(widths) + to_come)), WIDEST - NARROWEST)
        self.edges = [0.0]
        for width in widths:
            self.edges.append(self.edges[-1] + width + self._spare)
        self._stack(rows, view, size.height())

    def _stack(self, rows: Sequence[tuple[int, str]], view: str, height: int) -> None:
        """Row tops, with a gap between layers of several rows."""
        is_last = [row + 1 == len(rows) or rows[row + 1][0] != layer for row, (layer, _) in enumerate(rows)]
        gap = LAYER_GAP if view == EACH else 0.0
        free = height - HEAD - gap * sum(is_last)
        self.row_height = float(int(max(LOWEST, min(HIGHEST, free / max(1, len(rows))))))
        self.tops = [0.0]
        for last in is_last:
            self.tops.append(self.tops[-1] + self.row_height + (gap if last else 0.0))

    def cell(self, token: int, row: int) -> QRectF:
        """Row -1 is the last one."""
        top = self.tops[row] if row >= 0 else self.tops[len(self.tops) - 1 + row]
        left, right = self.edges[token], self.edges[token + 1]
        return QRectF(left, top, right - left, self.row_height)

    def column_at(self, x: float) -> int:
        """-1 or the number of columns where there is none."""
        return int(np.searchsorted(self.edges, x, side="right")) - 1

    def row_at(self, y: float) -> int:
        return int(np.searchsorted(self.tops, y, side="right")) - 1

    def columns_between(self, left: float, right: float) -> range:
        """The columns that can be seen between two places."""
        first = self.column_at(left)
        last = int(np.searchsorted(self.edges, right, side="left"))
        return range(max(0, first), min(len(self.edges) - 1, last))

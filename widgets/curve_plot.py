"""Live curves of one quantity: any number of series, painted at most fifteen times a second.

pyqtgraph is loaded after the window is painted; the first point waits for it.
"""

from __future__ import annotations

import gc
import importlib
from html import escape
from itertools import cycle
from threading import Thread
from typing import Any

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from widgets.painting import hue_colour
from widgets.series import Series
from widgets.theme import theme

__all__ = ["CurvePlot", "preload"]

# Plots that stand together keep different time, so that the event loop never paints all of them at once.
REPAINT_MS = (67, 79, 97)
RAW_ALPHA = 0.25
HEAD_GAP = 4

_beats = cycle(REPAINT_MS)


def preload() -> None:
    """Load pyqtgraph and numpy beside the event loop, so that the first point of a curve finds them there."""
    Thread(target=_load, name="preload").start()


def _load() -> None:
    # A collection that begins in this thread would destroy what belongs to the event loop's.
    gc.disable()
    try:
        importlib.import_module("pyqtgraph")
    finally:
        gc.enable()


class CurvePlot(QWidget):
    """``title`` and ``unit`` above, steps below; ``floor`` is the least value. Appending adds series.

    Without ``legend`` the series' names stand elsewhere, in the same colours.
    """

    def __init__(
        self,
        title: str,
        unit: str,
        *,
        floor: float | None = None,
        legend: bool = True,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._title, self._unit = title, unit
        self._series: dict[str, Series] = {}
        self._hues: dict[str, int] = {}
        self._shades: dict[str, float] = {}
        self._curves: dict[str, tuple[Any, Any]] = {}
        self._plot: Any = None
        self._is_dirty = False
        self._is_log = False
        self._floor = floor
        self._has_legend = legend
        self._head = QLabel()
        self._latest = QLabel()
        self._legend = QLabel()
        self.log = QToolButton()
        self._body = QVBoxLayout()
        self._timer = QTimer(self, interval=next(_beats), singleShot=True)
        self._timer.timeout.connect(self._repaint)
        self._compose()
        theme.changed.connect(self._dress)
        self._dress()

    @property
    def series(self) -> dict[str, Series]:
        return self._series

    def append(self, name: str, step: float, value: float) -> None:
        """One more point of the curve ``name``."""
        if name not in self._series:
            self._series[name] = Series()
        self._series[name].append(step, value)
        self._touch()

    def set_hues(self, hues: dict[str, int]) -> None:
        """Experts' palette places for the series that are experts; others take the ink of the text."""
        if hues != self._hues:
            self._hues = dict(hues)
            self._dress()

    def set_shades(self, shades: dict[str, float]) -> None:
        """How strongly a series wears the accent, 0..1, for series that are steps of one thing: ranks."""
        if shades != self._shades:
            self._shades = dict(shades)
            self._dress()

    def set_unit(self, unit: str) -> None:
        """Count in another unit from now on."""
        if unit != self._unit:
            self._unit = unit
            self._call_it()
            self._fit_head()

    def clear(self) -> None:
        for curves in self._curves.values():
            for curve in curves:
                self._plot.removeItem(curve)
        self._series.clear()
        self._curves.clear()
        self._touch()

    def _call_it(self) -> None:
        for part in (self, self._plot):
            if part is not None:
                part.setAccessibleName(f"{self._title}, {self._unit}")
        self._head.setToolTip(self.accessibleName())

    def _compose(self) -> None:
        self._call_it()
        self.setMinimumSize(110, 110)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._head.setFixedHeight(20)
        self._legend.setTextFormat(Qt.TextFormat.RichText)
        self.log.setText("log")
        self.log.setCheckable(True)
        self.log.setAccessibleName(f"Logarithmic {self._title.lower()}")
        self.log.setObjectName(f"curve-log-{self._title.lower()}")
        self.log.toggled.connect(self._set_log)
        self.log.setFixedHeight(20)
        head = QHBoxLayout()
        head.setSpacing(HEAD_GAP)
        self._head.setMinimumWidth(1)
        head.addWidget(self._head, 1)
        head.addWidget(self._latest)
        head.addWidget(self.log)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(head)
        column.addWidget(self._legend)
        column.addLayout(self._body, 1)

    def _touch(self) -> None:
        self._is_dirty = True
        if self.isVisible() and not self._timer.isActive():
            self._timer.start()

    def showEvent(self, event: Any) -> None:
        super().showEvent(event)
        if self._is_dirty:
            self._touch()

    def _repaint(self) -> None:
        if not self._is_dirty:
            return
        self._is_dirty = False
        if self._plot is None:
            if not self._series:
                return
            self._build()
        for name, series in self._series.items():
            raw, smooth = self._curves.get(name) or self._draw(name)
            steps, values, smoothed = series.points
            raw.setData(steps, values)
            smooth.setData(steps, smoothed)
        if self._floor is not None and self._series:
            top = max(series.points[1].max() for series in self._series.values())
            self._plot.getPlotItem().setYRange(self._floor, max(top, self._floor + 1e-3))
        self._write_legend()

    def _build(self) -> None:
        import pyqtgraph

        self._plot = pyqtgraph.PlotWidget(enableMenu=False)
        self._plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._plot.setAccessibleName(self.accessibleName())
        self._plot.hideButtons()
        self._plot.setMouseEnabled(x=False, y=False)
        item = self._plot.getPlotItem()
        item.setLogMode(y=self._is_log)
        item.showGrid(y=True, alpha=0.15)
        item.getAxis("left").setWidth(36)
        item.getAxis("bottom").setHeight(20)
        for side in ("left", "bottom"):
            item.getAxis(side).setStyle(maxTickLevel=0)
        self._body.addWidget(self._plot)
        self._dress()

    def _draw(self, name: str) -> tuple[Any, Any]:
        curves = (self._plot.plot([], []), self._plot.plot([], []))
        for curve in curves:
            curve.setDownsampling(auto=True, method="peak")
            curve.setClipToView(True)
            curve.setSkipFiniteCheck(True)
        self._curves[name] = curves
        self._ink(name)
        return self._curves[name]

    def _ink(self, name: str) -> None:
        if name not in self._curves:
            return
        raw, smooth = self._curves[name]
        for curve, alpha in ((raw, RAW_ALPHA), (smooth, 1.0)):
            # Cosmetic and exactly 1 wide: anything else falls off Qt's fast path.
            pen = QPen(self._colour(name, alpha), 1)
            pen.setCosmetic(True)
            curve.setPen(pen)

    def _colour(self, name: str, alpha: float = 1.0) -> Any:
        if name in self._hues:
            return hue_colour(self._hues[name], alpha)
        return theme.colour("accent", alpha * self._shades.get(name, 1.0))

    def _set_log(self, on: bool) -> None:
        self._is_log = on
        if self._plot is not None:
            self._plot.getPlotItem().setLogMode(y=on)
            self._touch()

    def _dress(self) -> None:
        tokens = theme.tokens
        for label in (self._head, self._legend, self._latest):
            label.setStyleSheet(f"font-size: {tokens.tiny}px")
        self.log.setStyleSheet(
            f"QToolButton {{ font-size: {tokens.tiny}px; padding: 0 4px; color: {tokens.text_dim} }}"
            f"QToolButton:checked {{ color: {tokens.accent}; border-color: {tokens.accent} }}"
        )
        if self._plot is not None:
            self._plot.setBackground(theme.colour("surface", 0.0))
            for side in ("left", "bottom"):
                axis = self._plot.getPlotItem().getAxis(side)
                axis.setPen(theme.colour("line"))
                axis.setTextPen(theme.colour("text_dim"))
                axis.setTickFont(theme.font(theme.tokens.tiny))
            for name in self._curves:
                self._ink(name)
        self._write_legend()
        self.update()

    def _fit_head(self) -> None:
        """The title, and the unit where there is room for all of it."""
        tokens = theme.tokens
        others = [part for part in (self._latest, self.log) if not part.isHidden()]
        room = self.width() - sum(part.sizeHint().width() + HEAD_GAP for part in others)
        metrics = QFontMetrics(theme.font(tokens.tiny, strong=True))
        words = f'<span style="font-weight:600">{self._title}</span>'
        if metrics.horizontalAdvance(f"{self._title} {self._unit}") <= room:
            words += f' <span style="color:{tokens.text_dim}">{self._unit}</span>'
        if words != self._head.text():
            self._head.setText(words)

    def _write_legend(self) -> None:
        is_many = self._has_legend and len(self._series) > 1
        spans = [
            f'<span style="color:{self._colour(name).name()}">■</span>&nbsp;{escape(name)}'
            for name in self._series
        ]
        self._legend.setVisible(is_many)
        self._legend.setText("&ensp;".join(spans) if is_many else "")
        # Of many the plot's own stands in the head: the loss, where there is one per domain too.
        main = self._series.get(self._title.lower()) or next(iter(self._series.values()), None)
        is_one = len(self._series) == 1 or self._title.lower() in self._series
        self._latest.setText(_short(main.points[2, -1]) if main is not None and is_one else "")
        self._fit_head()
        latest = ", ".join(f"{name} {series.points[2, -1]:.3g}" for name, series in self._series.items())
        self.setAccessibleDescription(latest)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_head()

    def sizeHint(self) -> QSize:
        return QSize(260, 150)

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._plot is not None:
            return
        painter = QPainter(self)
        painter.setPen(QPen(theme.colour("line"), 1))
        area = self.rect().adjusted(36, 28, -4, -20)
        painter.drawLine(area.topLeft(), area.bottomLeft())
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        painter.end()


def _short(value: float) -> str:
    """Three decimals of what is small, as losses are; of what is large the first three digits count."""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}" if abs(value) < 100 else f"{value:,.0f}"

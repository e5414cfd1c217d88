"""Under the rank slider, on its axis: quality with its interval, energy kept, bytes and speed by rank."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from PySide6.QtCore import QPointF, Qt, QTimer, SignalInstance
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from app.pages.ranks.hues import hue_of, hue_of_order
from app.pages.ranks.measuring import MeasuringBar
from app.presenters.measured import Measured, order_words
from app.presenters.rank_curve import RankCurves
from app.presenters.ranks import Ranks
from app.presenters.spectrum_cut import sizes_of
from app.words import megabytes, percent
from engine.messages import Spectrum
from widgets.rank_chart import RankChart
from widgets.rank_series import RankSeries, RankValue

__all__ = ["Axis", "RankCharts"]

UNMEASURED = "Press Measure: every rank answers the same rows."
NO_ENERGY = "a DyLoRA's ranks are trained as they stand; their quality says more than their energy"
NO_SPEED = "measured together with quality"
UNTIMED = "was not timed with this curve"
READING = "reading the adapter"


class Axis(Protocol):
    """A slider that says where its ranks stand."""

    axis_changed: SignalInstance

    def x_of(self, rank: float) -> float: ...
    def mapToGlobal(self, point: QPointF) -> QPointF: ...


class RankCharts(QWidget):
    """Four charts under ``slider`` whose hairline is the live rank; a click in one slides there."""

    def __init__(self, curves: RankCurves, slider: Axis, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._curves, self._slider = curves, slider
        self._ranks: Ranks = curves.ranks
        self.setObjectName("ranks.charts")
        self.bar = MeasuringBar(curves)
        self.quality = RankChart("ranks.charts.quality", "Exact answers", _places(2), 108)
        self.energy = RankChart("ranks.charts.energy", "Energy kept", percent, 52)
        self.bytes = RankChart("ranks.charts.bytes", "Size", lambda size: megabytes(round(size)), 52)
        self.speed = RankChart("ranks.charts.speed", "Tokens per second", _round, 52)
        self._charts = (self.quality, self.energy, self.bytes, self.speed)
        self._compose()
        for chart in self._charts:
            chart.picked.connect(self._ranks.slide)
            chart.settled.connect(self._ranks.settle)
            chart.pointed.connect(self._point)
        slider.axis_changed.connect(self._align)
        curves.changed.connect(self._show)
        self._ranks.changed.connect(self._show)
        self._ranks.slid.connect(self._show_rank)
        self._show()

    def _compose(self) -> None:
        stacked = QWidget()
        stack = QVBoxLayout(stacked)
        stack.setContentsMargins(0, 0, 0, 8)
        stack.setSpacing(0)
        for chart, share in zip(self._charts, (4, 1, 1, 1), strict=True):
            stack.addWidget(chart, share)
        stack.addStretch(1)
        self._area = QScrollArea(widgetResizable=True, objectName="ranks.charts.area")
        self._area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._area.setWidget(stacked)
        self._area.setFrameShape(QScrollArea.Shape.NoFrame)
        self._area.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._area.setMinimumHeight(120)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.bar)
        column.addWidget(self._area, 1)

    # the shared axis

    def _align(self) -> None:
        state = self._ranks.state
        for chart in self._charts:
            chart.set_axis(lambda rank, chart=chart: self._x_in(chart, rank), state.low, state.highest)

    def _x_in(self, chart: RankChart, rank: float) -> float:
        there = self._slider.mapToGlobal(QPointF(self._slider.x_of(rank), 0.0))
        return chart.mapFromGlobal(there).x()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        # The layouts inside have not moved yet.
        QTimer.singleShot(0, self, self._align)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        QTimer.singleShot(0, self, self._align)

    # hands

    def _point(self, rank: int) -> None:
        for chart in self._charts:
            chart.set_pointed(rank)

    # values in

    def _show_rank(self, rank: int) -> None:
        for chart in self._charts:
            chart.set_rank(rank)

    def _show(self) -> None:
        curves, state = self._curves, self._ranks.state
        shown, current = curves.shown, curves.current
        is_loss = curves.plan.metric == "loss"
        self.quality.set_unit(*(("Nats per token", _places(3)) if is_loss else ("Exact answers", _places(2))))
        lines = [self._line(each, each is current) for each in shown]
        ends = None if is_loss or not lines else (0.0, 1.0)
        self.quality.set_series(lines, ends, curves.why_not or UNMEASURED)
        spectrum = self._ranks.facts.spectrum
        self.energy.set_series(self._energies(spectrum), (0.0, 1.0), NO_ENERGY if spectrum else READING)
        sizes = sizes_of(spectrum, state.order) if spectrum else []
        self.bytes.set_series(_line_of(sizes), _from_zero(sizes), READING)
        speeds = [line for each in shown if (line := self._speed(each, each is current))]
        most = [value.value for line in speeds for value in line.values]
        self.speed.set_series(speeds, _from_zero(most), UNTIMED if shown else NO_SPEED)
        self._align()
        self._show_rank(state.rank)

    def _line(self, measured: Measured, is_current: bool) -> RankSeries:
        values = tuple(RankValue(point.rank, point.value, *point.interval) for point in measured.curve.points)
        return RankSeries(self._curves.label(measured), values, hue_of(self._ranks, measured), is_current)

    def _speed(self, measured: Measured, is_current: bool) -> RankSeries | None:
        values = tuple(
            RankValue(point.rank, point.tokens_per_second)
            for point in measured.curve.points
            if point.tokens_per_second is not None
        )
        label = self._curves.label(measured)
        return RankSeries(label, values, hue_of(self._ranks, measured), is_current) if values else None

    def _energies(self, spectrum: Spectrum | None) -> list[RankSeries]:
        """A line for each order that the adapter may have, where ranks are parts of the whole."""
        state = self._ranks.state
        if spectrum is None or state.adapter is None:
            return []
        lines = []
        for order in state.orders:
            shares = [self._ranks.facts.energy(order, rank) for rank in range(1, state.highest + 1)]
            values = tuple(
                RankValue(rank, share) for rank, share in enumerate(shares, 1) if share is not None
            )
            if len(values) == len(shares):
                words = order_words(state.adapter, order)
                lines.append(RankSeries(words, values, hue_of_order(order), order == state.order))
        return lines


def _line_of(sizes: list[int]) -> list[RankSeries]:
    values = tuple(RankValue(rank, size) for rank, size in enumerate(sizes, 1))
    return [RankSeries("", values)] if values else []


def _from_zero(values: list[float] | list[int]) -> tuple[float, float] | None:
    return (0.0, float(max(values))) if values and max(values) > 0 else None


def _places(places: int) -> Callable[[float], str]:
    return lambda value: f"{value:.{places}f}"


def _round(value: float) -> str:
    return f"{value:,.0f}"

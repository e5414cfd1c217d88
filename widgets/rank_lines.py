"""How lines by rank are drawn: dots where there is room, a band of intervals, and what is read on them."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF

from widgets.painting import hue_colour
from widgets.rank_series import RankSeries
from widgets.theme import theme

__all__ = ["ink", "paint_reading", "paint_series"]

Place = Callable[[float], float]

DOT = 3.0
DOTS_APART = 16.0
BAND = 0.16
QUIET = 0.75


def ink(series: RankSeries, alpha: float = 1.0) -> QColor:
    """The colour of a line; one that the chart is not about is quieter."""
    alpha = alpha if series.strong else QUIET * alpha
    return theme.colour("accent", alpha) if series.hue is None else hue_colour(series.hue, alpha)


def paint_series(painter: QPainter, series: RankSeries, x_of: Place, y_of: Place) -> None:
    """The line, its dots, and below a strong one the band of its intervals."""
    points = [QPointF(x_of(value.rank), y_of(value.value)) for value in series.values]
    banded = [value for value in series.values if value.low is not None and value.high is not None]
    if series.strong and len(banded) > 1:
        upper = [QPointF(x_of(value.rank), y_of(value.high or 0.0)) for value in banded]
        lower = [QPointF(x_of(value.rank), y_of(value.low or 0.0)) for value in banded]
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(ink(series, BAND))
        painter.drawPolygon(QPolygonF([*upper, *reversed(lower)]))
    painter.setPen(QPen(ink(series), 2 if series.strong else 1.5))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPolyline(QPolygonF(points))
    if len(points) < 2 or (points[-1].x() - points[0].x()) / (len(points) - 1) >= DOTS_APART:
        painter.setBrush(ink(series))
        painter.setPen(QPen(theme.colour("ground"), 1))
        for point in points:
            painter.drawEllipse(point, DOT, DOT)


def paint_reading(painter: QPainter, series: RankSeries, rank: int, x_of: Place, y_of: Place) -> None:
    """The interval and a larger dot of a strong line where it is read."""
    value = series.at(rank)
    if value is None or not series.strong:
        return
    x = x_of(value.rank)
    if value.low is not None and value.high is not None:
        painter.setPen(QPen(ink(series), 2))
        painter.drawLine(QPointF(x, y_of(value.low)), QPointF(x, y_of(value.high)))
    painter.setBrush(ink(series))
    painter.setPen(QPen(theme.colour("ground"), 1.5))
    painter.drawEllipse(QPointF(x, y_of(value.value)), DOT + 2, DOT + 2)

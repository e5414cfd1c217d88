"""The study's picture: score against training rows, as plain SVG that reads on light and on dark ground."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from engine.starter.svg import GREY, drawing, stroke, words

__all__ = ["Point", "picture"]

WIDTH, HEIGHT = 780, 380
LEFT, RIGHT, TOP, BOTTOM = 56, 250, 24, 48
COLOURS = ("#2f7dd1", "#7aa9dd", "#d1762f")


class Point(NamedTuple):
    """A value at a number of rows, and its interval."""

    rows: int
    value: float
    low: float
    high: float


def picture(lines: Mapping[str, Sequence[Point]], levels: Mapping[str, float]) -> str:
    """An SVG: ``lines`` over rows (logarithmic) with their intervals, ``levels`` as dashed heights."""
    ticks = sorted({point.rows for points in lines.values() for point in points})
    parts = [*_frame(ticks), *_levels(levels, ticks)]
    for number, (label, points) in enumerate(lines.items()):
        parts += _line(label, points, ticks, COLOURS[number % len(COLOURS)], number)
    return drawing(WIDTH, HEIGHT, "Exact match on seven tasks against training rows", parts)


def _x(rows: int, ticks: Sequence[int]) -> float:
    share = math.log(rows / ticks[0]) / math.log(ticks[-1] / ticks[0])
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _y(value: float) -> float:
    return TOP + (1 - value) * (HEIGHT - TOP - BOTTOM)


def _frame(ticks: Sequence[int]) -> Iterator[str]:
    for tenth in (0, 2, 4, 6, 8, 10):
        y = _y(tenth / 10)
        yield stroke(f"M{LEFT} {y:.1f}H{WIDTH - RIGHT}", GREY, 0.4)
        yield words(LEFT - 8, y + 4, f"{tenth / 10:.1f}", anchor="end")
    for rows in ticks:
        yield words(_x(rows, ticks), HEIGHT - BOTTOM + 18, f"{rows:,}", anchor="middle")
    yield words((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "training rows (seven tasks mixed)", anchor="middle")
    yield words(LEFT, TOP - 8, "exact match on held-out words, mean of seven tasks")


def _levels(levels: Mapping[str, float], ticks: Sequence[int]) -> Iterator[str]:
    for label, value in levels.items():
        yield stroke(f"M{LEFT} {_y(value):.1f}H{WIDTH - RIGHT}", GREY, 1.2, "5 4")
        yield words(WIDTH - RIGHT + 10, _y(value) + 4, f"{label} {value:.2f}")


def _line(
    label: str, points: Sequence[Point], ticks: Sequence[int], colour: str, number: int
) -> Iterator[str]:
    places = [(_x(point.rows, ticks), point) for point in points]
    yield stroke("M" + "L".join(f"{x:.1f} {_y(point.value):.1f}" for x, point in places), colour, 2.2)
    for x, point in places:
        yield stroke(f"M{x:.1f} {_y(point.low):.1f}V{_y(point.high):.1f}", colour, 1.4)
        yield f'<circle cx="{x:.1f}" cy="{_y(point.value):.1f}" r="3.6" fill="{colour}"/>'
    yield words(WIDTH - RIGHT + 10, TOP - 4 + 16 * number, f"{label} {points[-1].value:.2f}", colour)

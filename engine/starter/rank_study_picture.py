"""The rank study's picture: exact match by rank, a panel for each set of rows, as plain SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from engine.starter.svg import GREY, drawing, stroke, words

__all__ = ["Line", "Panel", "Point", "picture"]

COLUMNS, WIDTH, HEIGHT = 2, 400, 270
LEFT, RIGHT, TOP, BOTTOM = 42, 18, 30, 40
LEGEND = 30
NUDGE = 2.5
"""By how much the arms stand beside one another at a rank, so that their intervals can be told apart."""


class Point(NamedTuple):
    """A value at a rank, and its interval."""

    rank: int
    value: float
    low: float
    high: float


class Line(NamedTuple):
    """An arm: its name, its colour, and its points, rank by rank."""

    label: str
    colour: str
    points: Sequence[Point]


class Panel(NamedTuple):
    """A set of rows: its lines, and the best that anybody could do, where that is less than all."""

    title: str
    lines: Sequence[Line]
    ceiling: float | None = None


def picture(panels: Sequence[Panel]) -> str:
    """An SVG of all panels, two beside each other, under one legend."""
    parts = list(_legend(panels[0].lines))
    for number, panel in enumerate(panels):
        x, y = number % COLUMNS * WIDTH, number // COLUMNS * HEIGHT + LEGEND
        parts += [f'<g transform="translate({x} {y})">', *_panel(panel), "</g>"]
    rows = -(-len(panels) // COLUMNS)
    title = "Exact match by rank: one DyLoRA, a LoRA for each rank, and cut LoRAs"
    return drawing(COLUMNS * WIDTH, rows * HEIGHT + LEGEND, title, parts)


def _legend(lines: Sequence[Line]) -> Iterator[str]:
    place = float(LEFT)
    for line in lines:
        yield stroke(f"M{place:.1f} 16h18", line.colour, 2.6)
        yield words(place + 24, 20, line.label, line.colour)
        place += 60 + 7.2 * len(line.label)


def _x(rank: float, panel: Panel) -> float:
    first, last = panel.lines[0].points[0].rank, panel.lines[0].points[-1].rank
    return LEFT + 8 + (rank - first) / max(1, last - first) * (WIDTH - LEFT - RIGHT - 16)


def _y(value: float) -> float:
    return TOP + (1 - value) * (HEIGHT - TOP - BOTTOM)


def _panel(panel: Panel) -> Iterator[str]:
    yield words(LEFT, TOP - 12, panel.title)
    for tenth in range(0, 11, 2):
        y = _y(tenth / 10)
        yield stroke(f"M{LEFT} {y:.1f}H{WIDTH - RIGHT}", GREY, 0.4)
        yield words(LEFT - 8, y + 4, f"{tenth / 10:.1f}", anchor="end")
    for point in panel.lines[0].points:
        yield words(_x(point.rank, panel), HEIGHT - BOTTOM + 18, str(point.rank), anchor="middle")
    yield words((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, "rank", anchor="middle")
    if panel.ceiling is not None:
        yield stroke(f"M{LEFT} {_y(panel.ceiling):.1f}H{WIDTH - RIGHT}", GREY, 1.2, "5 4")
        yield words(LEFT + 6, _y(panel.ceiling) - 5, "as good as can be")
    # The first line lies on top.
    for number, line in reversed(list(enumerate(panel.lines))):
        nudge = (number - (len(panel.lines) - 1) / 2) * NUDGE
        places = [(_x(point.rank, panel) + nudge, point) for point in line.points]
        path = "L".join(f"{x:.1f} {_y(point.value):.1f}" for x, point in places)
        yield stroke(f"M{path}", line.colour, 1.8)
        for x, point in places:
            yield stroke(f"M{x:.1f} {_y(point.low):.1f}V{_y(point.high):.1f}", line.colour, 1.2)
            yield f'<circle cx="{x:.1f}" cy="{_y(point.value):.1f}" r="2.6" fill="{line.colour}"/>'

"""Dots with intervals: where they stand, what they say, how they are walked through."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from widgets.interval_chart import IntervalChart, IntervalRow
from widgets.theme import theme

ROWS = [
    IntervalRow("mix", "the mix", 0.5, 0.4, 0.6, {"sort": 0.25, "upper": 0.75}, is_ours=True),
    IntervalRow("base", "base", 0.1, 0.0, 0.2, {"sort": 0.1, "upper": 0.1}),
    IntervalRow("xlora", "X-LoRA", missing="It could not be trained."),
]


@pytest.fixture
def chart(qtbot):
    chart = IntervalChart("Scores")
    qtbot.addWidget(chart)
    chart.resize(500, 120)
    chart.set_rows(ROWS, line=0.9)
    chart.show()
    return chart


def ink(chart, value, row):
    """The colour at a value's place, in the middle of a row."""
    place = chart.row_rect(row).center()
    return chart.grab().toImage().pixelColor(round(chart.x_of(value)), round(place.y())).name()


def test_dots_intervals_and_yardstick_stand_where_their_values_are(chart, scheme):
    assert ink(chart, 0.1, 1) == theme.tokens.text
    assert ink(chart, 0.5, 0) == theme.tokens.accent, "ours stands out"
    assert ink(chart, 0.58, 0) == theme.tokens.accent, "the interval reaches there"
    assert ink(chart, 0.64, 0) != theme.tokens.accent, "and no further"
    assert ink(chart, 0.9, 1) == theme.tokens.text, "the yardstick goes through every row"
    assert chart.x_of(7.0) == chart.x_of(1.0)


def test_parts_are_shown_in_the_current_row_and_one_in_all(chart):
    def dots(row):
        picture = chart.grab().toImage()
        y = round(chart.row_rect(row).center().y())
        return picture.pixelColor(round(chart.x_of(0.1 if row else 0.25)), y).name()

    assert dots(0) == theme.tokens.raised
    chart.bring_out("sort")
    assert (dots(0), dots(1)) == (theme.tokens.warn, theme.tokens.warn)


def test_keyboard_and_mouse_go_from_row_to_row_and_it_is_read(chart):
    went, said = [], []
    chart.current_changed.connect(went.append)
    chart.read.connect(said.append)
    QTest.keyClick(chart, Qt.Key.Key_Down)
    assert (went, chart.accessibleDescription()) == (
        ["base"],
        "base 0.10 (0.00 to 0.20) · sort 0.10 · upper 0.10",
    )
    QTest.keyClick(chart, Qt.Key.Key_End)
    assert said[-1] == "X-LoRA: It could not be trained."
    QTest.keyClick(chart, Qt.Key.Key_Down)
    assert went == ["base", "xlora"]
    QTest.mouseMove(chart, chart.row_rect(0).center().toPoint())
    assert said[-1].startswith("the mix 0.50 (0.40 to 0.60)")
    QTest.mouseClick(chart, Qt.MouseButton.LeftButton, pos=chart.row_rect(0).center().toPoint())
    assert went[-1] == "mix"


def test_the_current_row_follows_its_arm_into_another_order(chart):
    chart.set_current("base")
    chart.set_rows(ROWS[::-1], line=None)
    assert chart.current == "base"
    chart.set_rows([])
    assert (chart.current, chart.words) == ("", "")
    QTest.keyClick(chart, Qt.Key.Key_Down)

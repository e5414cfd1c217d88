"""Bands of shares by depth: widths, hues, notes, and what a row says."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from widgets.painting import NULL_HUE
from widgets.share_rows import ShareRows
from widgets.theme import theme

ROWS = [(0, "q_proj"), (0, "o_proj"), (1, "q_proj"), (1, "o_proj")]
EXPERTS = ["reverse", "sort", "null"]


def shares():
    values = np.full((2, 4, 3), 1 / 3, np.float32)
    values[0, 3] = [0.75, 0.25, 0.0]
    values[1, 3] = [0.0, 0.5, 0.5]
    return values


@pytest.fixture
def rows(qtbot):
    rows = ShareRows("Gates by layer")
    qtbot.addWidget(rows)
    rows.resize(420, 140)
    rows.set_shares(ROWS, ["first", "second"], EXPERTS, [0, 1, NULL_HUE], shares(), amounts=[0, 0, 0, 0.75])
    rows.show()
    return rows


def ink(rows, column, row, share):
    band = rows.band_rect(column, row)
    place = band.left() + share * band.width()
    return rows.grab().toImage().pixelColor(round(place), round(band.center().y())).name()


def test_a_band_is_shared_out_as_the_gates_are(rows, scheme):
    assert ink(rows, 0, 3, 0.7) == theme.expert(0).name()
    assert ink(rows, 0, 3, 0.8) == theme.expert(1).name()
    assert ink(rows, 1, 3, 0.4) == theme.expert(1).name()
    assert ink(rows, 1, 3, 0.9) == theme.tokens.null


def test_gates_that_say_more_than_one_together_fill_the_band(rows):
    loud = np.full((1, 4, 3), 0.9, np.float32)
    rows.set_shares(ROWS, [""], EXPERTS, [0, 1, NULL_HUE], loud, notes=["a", "b", "c", "d"])
    assert ink(rows, 0, 0, 0.3) == theme.expert(0).name()
    assert ink(rows, 0, 0, 0.95) == theme.tokens.null


def test_keyboard_and_mouse_read_rows(rows):
    said = []
    rows.read.connect(said.append)
    QTest.keyClick(rows, Qt.Key.Key_End)
    assert said[-1] == (
        "layer 1 o_proj · first: reverse 0.75, sort 0.25, null 0.00 · "
        "second: null 0.50, sort 0.50, reverse 0.00 · apart by 0.75"
    )
    assert rows.accessibleDescription() == said[-1]
    QTest.mouseMove(rows, rows.band_rect(0, 0).center().toPoint())
    assert said[-1].startswith("layer 0 q_proj · first: ")


def test_shapes_must_agree(rows):
    with pytest.raises(ValueError, match="2 columns, 3 rows"):
        rows.set_shares(ROWS[:3], ["first", "second"], EXPERTS, [0, 1, 2], shares())
    rows.set_shares([], [], [], [], np.zeros((0, 0, 0), np.float32))
    assert rows.words == ""
    QTest.keyClick(rows, Qt.Key.Key_Down)

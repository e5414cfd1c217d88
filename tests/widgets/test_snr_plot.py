"""Errors against noise: where points stand, what keys and mouse read, what is said without any."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

from widgets.painting import hue_colour
from widgets.snr_plot import SnrLine, SnrPlot

EARS = SnrLine("Ears", 1, 0, ((None, 0.0), (0.0, 0.5), (-10.0, 1.0)))
BOTH = SnrLine("Both", 2, 2, ((None, 0.0), (0.0, 1 / 6)))


@pytest.fixture
def plot(qtbot: QtBot, scheme: str) -> SnrPlot:
    made = SnrPlot("plot", "Wrong words by noise")
    qtbot.addWidget(made)
    made.resize(400, 200)
    made.show()
    made.set_lines([EARS, BOTH], 0.0, (20.0, -10.0), "Nothing yet.")
    return made


def test_louder_is_further_right_and_worse_is_higher(plot: SnrPlot) -> None:
    xs = [plot.x_of(snr) for snr in (None, 20.0, 0.0, -10.0)]
    assert xs == sorted(xs) and xs[-1] < plot.width()
    assert plot.y_of(0.5) < plot.y_of(0.1)
    assert plot.y_of(3.0) == plot.y_of(1.0), "more errors than words stand at the top"


def test_keys_read_each_noise(plot: SnrPlot, qtbot: QtBot) -> None:
    assert plot.accessibleDescription() == "Clean: Ears 0 %, Both 0 % of the words wrong"
    qtbot.keyClick(plot, Qt.Key.Key_Right)
    assert plot.accessibleDescription() == "0 dB: Ears 50 %, Both 17 % of the words wrong"
    qtbot.keyClick(plot, Qt.Key.Key_End)
    assert plot.accessibleDescription() == "\N{MINUS SIGN}10 dB: Ears 100 % of the words wrong"
    qtbot.keyClick(plot, Qt.Key.Key_Left)
    assert plot.accessibleDescription().startswith("0 dB")


def test_a_mouse_reads_the_nearest_point(plot: SnrPlot, qtbot: QtBot) -> None:
    heard: list[str] = []
    plot.read.connect(heard.append)
    qtbot.mouseMove(plot, QPoint(round(plot.x_of(-10.0)) - 3, 80))
    qtbot.mouseClick(plot, Qt.MouseButton.LeftButton, pos=QPoint(round(plot.x_of(0.0)), 80))
    assert heard[-1].startswith("0 dB")


def test_each_line_has_its_colour(plot: SnrPlot, colours) -> None:
    found = colours(plot)
    assert all(found.get(hue_colour(hue).name(), 0) > 20 for hue in (1, 2))


def test_lips_hear_no_noise_so_one_point_holds_everywhere(plot: SnrPlot, qtbot: QtBot, colours) -> None:
    eyes = SnrLine("Eyes", 0, 1, ((None, 0.25),), is_flat=True)
    before = colours(plot).get(hue_colour(0).name(), 0)
    plot.set_lines([EARS, eyes], 0.0, (20.0, -10.0))
    assert colours(plot).get(hue_colour(0).name(), 0) > before + 100
    qtbot.keyClick(plot, Qt.Key.Key_End)
    assert plot.words == "\N{MINUS SIGN}10 dB: Ears 100 %, Eyes 25 % of the words wrong"


def test_without_points_it_says_what_is_needed(plot: SnrPlot, qtbot: QtBot, colours) -> None:
    plot.set_lines([SnrLine("Ears", 1, 0)], None, (20.0, -10.0), "Type what is said.")
    assert plot.accessibleDescription() == "Type what is said." and plot.words == ""
    qtbot.keyClick(plot, Qt.Key.Key_Right)
    assert hue_colour(1).name() not in colours(plot)

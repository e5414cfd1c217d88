"""A slider of stops: it never stands between two, and says each by its words."""

from __future__ import annotations

from itertools import pairwise

import pytest
from PySide6.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

from widgets.stop_slider import StopSlider
from widgets.theme import theme

STOPS = [("off", True), ("20 dB", True), ("15 dB", False), ("10 dB", True), ("5 dB", False), ("0 dB", True)]


@pytest.fixture
def slider(qtbot: QtBot, scheme: str) -> StopSlider:
    made = StopSlider("noise", "Noise", STOPS, page=2)
    qtbot.addWidget(made)
    made.resize(240, 44)
    made.show()
    return made


def test_keys_go_from_stop_to_stop(slider: StopSlider, qtbot: QtBot) -> None:
    heard: list[int] = []
    slider.moved.connect(heard.append)
    for key in (Qt.Key.Key_Right, Qt.Key.Key_PageUp, Qt.Key.Key_End, Qt.Key.Key_Left, Qt.Key.Key_Home):
        qtbot.keyClick(slider, key)
    assert heard == [1, 3, 5, 4, 0]
    assert (slider.words, slider.accessibleDescription()) == ("off", "off")


def test_a_hand_lands_on_the_nearest_stop(slider: StopSlider, qtbot: QtBot) -> None:
    heard: list[int] = []
    slider.moved.connect(heard.append)
    qtbot.mousePress(slider, Qt.MouseButton.LeftButton, pos=QPoint(round(slider.x_of(3)) + 8, 14))
    qtbot.mouseMove(slider, QPoint(round(slider.x_of(4)) - 3, 14))
    qtbot.mouseRelease(slider, Qt.MouseButton.LeftButton)
    assert heard == [3, 4]


def test_what_is_shown_is_not_said_to_have_been_moved(slider: StopSlider) -> None:
    heard: list[int] = []
    slider.moved.connect(heard.append)
    slider.show_stop(3)
    slider.set_stops([("2 to 1", True), ("4 to 1", True)])
    assert heard == [] and slider.maximum() == 1


def test_names_that_would_run_into_one_another_give_way_to_the_ends(slider: StopSlider) -> None:
    metrics = slider.fontMetrics()
    assert sorted(stop for stop, _ in slider._rooms(metrics)) == [0, 1, 3, 5]
    slider.resize(110, 44)
    rooms = dict(slider._rooms(metrics))
    assert {0, 5} <= set(rooms) < {0, 1, 3, 5}
    lefts = sorted(rooms.values(), key=lambda room: room.left())
    assert all(one.right() < other.left() for one, other in pairwise(lefts))


def test_one_stop_is_no_choice(slider: StopSlider, colours) -> None:
    assert colours(slider).get(theme.colour("accent").name(), 0) > 20
    slider.set_stops([("2 to 1", True)])
    assert not slider.isEnabled() and slider.words == "2 to 1"
    assert theme.colour("accent").name() not in colours(slider)

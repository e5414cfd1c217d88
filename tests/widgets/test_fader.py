"""The fader as a hand, a wheel, a keyboard and a screen reader meet it."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QAccessible, QAccessibleInterface, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from widgets.fader import Fader
from widgets.theme import theme


@pytest.fixture
def fader(qtbot):
    fader = Fader(hue=1)
    qtbot.addWidget(fader)
    fader.resize(60, 240)
    fader.show()
    return fader


def test_starts_as_trained_and_shows_without_saying(fader):
    said = []
    fader.moved.connect(said.append)
    assert fader.level == 1.0
    fader.set_level(0.35)
    assert fader.level == 0.35
    assert said == []


@pytest.mark.parametrize(
    ("key", "level"),
    [
        (Qt.Key.Key_Up, 1.05),
        (Qt.Key.Key_Down, 0.95),
        (Qt.Key.Key_PageUp, 1.25),
        (Qt.Key.Key_PageDown, 0.75),
        (Qt.Key.Key_Home, 0.0),
        (Qt.Key.Key_End, 2.0),
    ],
)
def test_keys(fader, key, level):
    said = []
    fader.moved.connect(said.append)
    QTest.keyClick(fader, key)
    assert said == [pytest.approx(level)]
    assert fader.level == pytest.approx(level)


def test_ends_are_ends(fader):
    QTest.keyClick(fader, Qt.Key.Key_End)
    QTest.keyClick(fader, Qt.Key.Key_Up)
    assert fader.level == 2.0


def test_dragging_moves_by_the_hand_and_releases_once(fader, qtbot):
    handle = fader.handle_rect().center().toPoint()
    released = []
    fader.released.connect(lambda: released.append(fader.level))
    QTest.mousePress(fader, Qt.MouseButton.LeftButton, pos=handle)
    assert fader.level == 1.0, "taking hold moves nothing"
    QTest.mouseMove(fader, handle + QPoint(0, 50))
    lower = fader.level
    assert lower < 0.7
    QTest.mouseMove(fader, handle + QPoint(0, -5000))
    assert fader.level == 2.0
    assert released == []
    QTest.mouseRelease(fader, Qt.MouseButton.LeftButton, pos=handle)
    assert released == [2.0]


def test_the_notch_catches_the_mouse_unless_shift_is_held(fader):
    target = QPoint(30, round(fader._y(103)))
    fader.set_level(0.2)
    QTest.mouseClick(fader, Qt.MouseButton.LeftButton, pos=target)
    assert fader.level == 1.0
    fader.set_level(0.2)
    QTest.mouseClick(fader, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ShiftModifier, target)
    assert fader.level == pytest.approx(1.03, abs=0.011)


def test_double_click_returns_to_one(fader):
    fader.set_level(0.2)
    QTest.mouseDClick(fader, Qt.MouseButton.LeftButton, pos=QPoint(30, 200))
    assert fader.level == 1.0


def test_wheel(fader):
    turn = QWheelEvent(
        QPointF(30, 100),
        QPointF(30, 100),
        QPoint(),
        QPoint(0, -240),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(fader, turn)
    assert fader.level == pytest.approx(0.9)


def test_readers_find_a_slider_with_a_value(fader):
    fader.setAccessibleName("Fader of sort")
    fader.set_level(0.6)
    seen: QAccessibleInterface = QAccessible.queryAccessibleInterface(fader)
    assert seen.role() == QAccessible.Role.Slider
    assert seen.text(QAccessible.Text.Name) == "Fader of sort"
    assert seen.valueInterface().currentValue() == 60


def test_painted_in_its_colour_and_dimmed_when_silent(fader, scheme, colours):
    expert = theme.expert(1).name()
    assert colours(fader).get(expert, 0) > 300
    fader.set_dimmed(True)
    assert colours(fader).get(expert, 0) == 0


def test_the_focus_ring_is_visible(fader, scheme, colours, qtbot):
    fader.clearFocus()
    before = colours(fader).get(theme.colour("focus").name(), 0)
    fader.setFocus()
    qtbot.waitUntil(fader.hasFocus)
    assert colours(fader).get(theme.colour("focus").name(), 0) > before + 400

"""The waveform as a player's slider, and the mouths that share its axis."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QAccessible, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from tests.pictures import picture
from widgets.mouth_strip import HEIGHT, MouthStrip
from widgets.theme import theme
from widgets.waveform import Waveform

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def wave(qtbot):
    wave = Waveform("wave")
    qtbot.addWidget(wave)
    wave.resize(416, 90)
    wave.show_sound(8.0, [0.5] * 100, [(1.0, 3.0)])
    wave.show()
    wave.said = []
    wave.sought.connect(wave.said.append)
    return wave


def test_showing_says_nothing(wave):
    wave.show_position(2.5)
    wave.show_sound(4.0, [])
    assert wave.said == [] and wave.value() == 2500


def test_a_click_and_a_drag_go_to_a_place(wave):
    QTest.mousePress(wave, LEFT, pos=QPoint(round(wave.x_of(2.0)), 30))
    QTest.mouseMove(wave, QPoint(round(wave.x_of(6.0)), 30))
    QTest.mouseRelease(wave, LEFT, pos=QPoint(round(wave.x_of(6.0)), 30))
    assert wave.said == pytest.approx([2.0, 6.0], abs=0.02)
    QTest.mouseMove(wave, QPoint(20, 30))
    assert len(wave.said) == 2, "nothing is held any more"


def test_keys_go_through_it_in_reading_direction(wave, qtbot):
    for key in (Qt.Key.Key_Right, Qt.Key.Key_PageDown, Qt.Key.Key_PageUp, Qt.Key.Key_Left):
        qtbot.keyClick(wave, key)
    qtbot.keyClick(wave, Qt.Key.Key_End)
    qtbot.keyClick(wave, Qt.Key.Key_Home)
    assert wave.said == pytest.approx([0.2, 2.2, 0.2, 0.0, 8.0, 0.0])


def test_a_passing_wheel_winds_nothing(wave):
    turn = QWheelEvent(
        QPointF(99, 30),
        QPointF(99, 30),
        QPoint(),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(wave, turn)
    assert wave.said == [] and not turn.isAccepted()


def test_readers_find_a_slider_that_says_how_much_is_speech(wave):
    face = QAccessible.queryAccessibleInterface(wave)
    assert face.role() == QAccessible.Role.Slider
    assert face.text(QAccessible.Text.Name) == "Position in the clip"
    assert face.text(QAccessible.Text.Description) == "8.0 seconds, 2.0 of them speech"


def test_speech_is_marked_where_it_is(qtbot, scheme):
    wave = Waveform("wave")
    qtbot.addWidget(wave)
    wave.resize(216, 80)
    wave.show_sound(8.0, [], [(2.0, 4.0)])
    shown = wave.grab().toImage()
    bottom = 80 - 18 - 2  # the rule under a stretch of speech
    inside, outside = round(wave.x_of(3.0)), round(wave.x_of(6.0))
    assert shown.pixelColor(inside, bottom).name() == theme.tokens.accent
    assert shown.pixelColor(outside, bottom).name() != theme.tokens.accent


@pytest.mark.parametrize("seconds", [0.0, 0.02, 3600.0])
def test_any_length_can_be_shown(qtbot, seconds):
    wave = Waveform("wave")
    qtbot.addWidget(wave)
    wave.resize(160, 60)
    wave.show_sound(seconds, [0.1, 1.0], [(0.0, seconds)])
    wave.show_position(seconds / 2)
    assert not wave.grab().isNull()
    assert wave.seconds_at(wave.x_of(seconds / 2)) == pytest.approx(seconds / 2, abs=1e-6)


def test_mouths_stand_under_their_moment(qtbot, wave):
    strip = MouthStrip("strip")
    qtbot.addWidget(strip)
    strip.resize(wave.width(), HEIGHT)
    strip.show_strip(picture(96 * 200, 96), 96, 0.04, 8.0)
    assert strip.count == 200 and strip.accessibleDescription() == "200 pictures"
    shown = strip.shown()
    assert len(shown) == 9, "as many as there is room for"
    for x, number in shown:
        assert (number + 0.5) * 0.04 == pytest.approx(wave.seconds_at(x + HEIGHT / 2), abs=0.05)


def test_a_strip_shorter_than_the_sound_ends_where_it_ends(qtbot):
    strip = MouthStrip("strip")
    qtbot.addWidget(strip)
    strip.resize(416, HEIGHT)
    strip.show_strip(picture(96 * 100, 96), 96, 0.04, 8.0)
    assert max(number for _, number in strip.shown()) < 100 and len(strip.shown()) == 4


def test_without_mouths_there_are_words(qtbot):
    strip = MouthStrip("strip")
    qtbot.addWidget(strip)
    strip.show_strip(b"", 1, 1.0, 8.0, "No face.")
    assert (strip.shown(), strip.accessibleDescription()) == ([], "No face.")
    assert not strip.grab().isNull()

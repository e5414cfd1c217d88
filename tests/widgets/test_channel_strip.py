"""A channel strip: what it shows, what it says, and that silence is seen at once."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from widgets.channel_strip import ChannelStrip
from widgets.painting import NULL_HUE, is_patterned
from widgets.theme import theme


@pytest.fixture
def strip(qtbot):
    strip = ChannelStrip("reverse", 0)
    qtbot.addWidget(strip)
    strip.resize(84, 420)
    strip.show()
    return strip


def test_every_part_has_a_name_for_readers(strip):
    assert strip.accessibleName() == "reverse, 1.00"
    assert strip.fader.accessibleName() == "Fader of reverse"
    assert strip.mute.accessibleName() == "Mute reverse"
    assert strip.solo.accessibleName() == "Solo reverse"
    assert strip.rank.accessibleName() == "Rank of reverse"
    assert strip.meter.accessibleName() == "Usage of reverse"


def test_showing_a_state_says_nothing(strip):
    said = []
    for signal in (strip.fader_moved, strip.mute_toggled, strip.solo_toggled):
        signal.connect(said.append)
    strip.set_state(fader=0.4, muted=True, soloed=True, locked=False, heard=False)
    assert strip.fader.level == 0.4
    assert strip.mute.isChecked()
    assert strip.solo.isChecked()
    assert strip.accessibleName() == "reverse, 0.40"
    assert said == []


def test_mute_dims_the_strip_before_anyone_answers(strip, scheme, colours):
    hue = theme.expert(0).name()
    assert colours(strip).get(hue, 0) > 300
    muted = []
    strip.mute_toggled.connect(muted.append)
    QTest.mouseClick(strip.mute, Qt.MouseButton.LeftButton)
    assert muted == [True]
    assert colours(strip).get(hue, 0) == 0


def test_keyboard(strip, qtbot):
    said = []
    strip.remove_wanted.connect(lambda: said.append("remove"))
    strip.lift_wanted.connect(lambda: said.append("lift"))
    strip.move_wanted.connect(said.append)
    strip.mute_toggled.connect(lambda on: said.append(("mute", on)))
    strip.solo_toggled.connect(lambda on: said.append(("solo", on)))
    strip.fader_moved.connect(lambda level: said.append(round(level, 2)))
    strip.setFocus()
    qtbot.waitUntil(strip.hasFocus)
    control = Qt.KeyboardModifier.ControlModifier
    QTest.keyClick(strip, Qt.Key.Key_Left, control)
    QTest.keyClick(strip, Qt.Key.Key_Right, control)
    QTest.keyClick(strip, Qt.Key.Key_M)
    QTest.keyClick(strip, Qt.Key.Key_S)
    QTest.keyClick(strip, Qt.Key.Key_Space)
    QTest.keyClick(strip, Qt.Key.Key_Delete)
    QTest.keyClick(strip, Qt.Key.Key_Down)
    assert said == [-1, 1, ("mute", True), ("solo", True), "lift", "remove", 0.95]


def test_brackets_slide_the_rank(strip, qtbot):
    said = []
    strip.rank_moved.connect(said.append)
    strip.set_rank(None, (1, 12))
    assert strip.accessibleDescription() == "rank 12 of 12"
    strip.setFocus()
    qtbot.waitUntil(strip.hasFocus)
    shift = Qt.KeyboardModifier.ShiftModifier
    for key, modifiers in [
        (Qt.Key.Key_BracketLeft, Qt.KeyboardModifier.NoModifier),
        (Qt.Key.Key_BraceLeft, shift),
        (Qt.Key.Key_BracketLeft, shift),
        (Qt.Key.Key_BracketRight, Qt.KeyboardModifier.NoModifier),
    ]:
        QTest.keyClick(strip, key, modifiers)
    assert said == [11, 8, 4, 5]
    assert strip.accessibleDescription() == "rank 5 of 12"


def test_an_expert_of_one_rank_has_nothing_to_slide_and_its_strip_is_like_the_others(strip):
    strip.set_rank(4, (1, 8))
    strip.layout().activate()
    fader = strip.fader.geometry()
    assert strip.rank.isVisible()
    strip.rank.setFocus()
    strip.set_rank(None, (1, 1), instead="rank 1")
    strip.layout().activate()
    assert not strip.rank.isVisible()
    assert (strip.accessibleDescription(), strip.hasFocus()) == ("rank 1", True)
    assert strip.fader.geometry() == fader
    said = []
    strip.rank_moved.connect(said.append)
    QTest.keyClick(strip, Qt.Key.Key_BracketLeft)
    assert said == []


def test_usage_is_a_number_and_a_meter(strip, scheme, colours):
    strip.set_usage(None)
    unlit = colours(strip.meter).get(theme.expert(0).name(), 0)
    strip.set_usage(0.5)
    assert strip.meter.value() == 50
    assert colours(strip.meter).get(theme.expert(0).name(), 0) > unlit + 100


def test_the_null_expert_has_a_meter_and_nothing_to_move(qtbot):
    null = ChannelStrip("null", NULL_HUE)
    qtbot.addWidget(null)
    null.show()
    assert not null.fader.isEnabled()
    assert not null.mute.isVisible()
    assert not null.solo.isVisible()
    assert not null.rank.isVisible()
    null.set_usage(0.2)
    assert null.meter.value() == 20


def test_the_ninth_expert_is_told_apart_by_its_pattern(qtbot, scheme, colours):
    first, ninth = ChannelStrip("a", 0), ChannelStrip("i", 8)
    for strip in (first, ninth):
        qtbot.addWidget(strip)
        strip.resize(84, 420)
    assert not is_patterned(0)
    assert is_patterned(8)
    hue = theme.expert(0).name()
    assert theme.expert(8).name() == hue
    assert 0 < colours(ninth).get(hue, 0) < 0.95 * colours(first)[hue]


def test_theme_changes_reach_a_strip_that_is_already_there(strip, colours, qapp):
    theme.start(qapp)
    for scheme in ("light", "dark"):
        theme.choose(scheme)
        assert colours(strip).get(theme.expert(0).name(), 0) > 300
    theme.choose("system")

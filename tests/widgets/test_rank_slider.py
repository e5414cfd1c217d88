"""The rank slider as a hand, a wheel, a keyboard and a screen reader meet it, and the axis that it shares."""

from __future__ import annotations

from itertools import pairwise

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QAccessible, QAccessibleInterface, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from widgets import rank_slider
from widgets.rank_flags import cloths
from widgets.rank_slider import RankSlider
from widgets.rank_stops import nearest_stop, next_stop, spaced, stops
from widgets.theme import theme

SHIFT = Qt.KeyboardModifier.ShiftModifier
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def slider(qtbot):
    slider = RankSlider()
    qtbot.addWidget(slider)
    slider.resize(900, slider.sizeHint().height())
    slider.set_ranks(1, 12)
    slider.set_rank(4)
    slider.show()
    return slider


def at(slider, rank) -> QPoint:
    return QPoint(round(slider.x_of(rank)), round(slider.handle_rect().center().y()))


def test_shows_without_saying_that_anyone_moved_it(slider):
    said = []
    slider.moved.connect(said.append)
    slider.set_rank(9, "90 % of the energy kept")
    slider.set_ranks(1, 6)
    slider.set_pinned((2, 3))
    assert slider.value() == 6
    assert said == []


@pytest.mark.parametrize(
    ("key", "modifier", "rank"),
    [
        (Qt.Key.Key_Right, Qt.KeyboardModifier.NoModifier, 5),
        (Qt.Key.Key_Left, Qt.KeyboardModifier.NoModifier, 3),
        (Qt.Key.Key_Up, Qt.KeyboardModifier.NoModifier, 5),
        (Qt.Key.Key_PageUp, Qt.KeyboardModifier.NoModifier, 8),
        (Qt.Key.Key_PageDown, Qt.KeyboardModifier.NoModifier, 2),
        (Qt.Key.Key_Right, SHIFT, 8),
        (Qt.Key.Key_Left, SHIFT, 2),
        (Qt.Key.Key_Home, Qt.KeyboardModifier.NoModifier, 1),
        (Qt.Key.Key_End, Qt.KeyboardModifier.NoModifier, 12),
    ],
)
def test_keys(slider, key, modifier, rank):
    said = []
    slider.moved.connect(said.append)
    QTest.keyClick(slider, key, modifier)
    assert said == [rank]


def test_p_pins_the_rank_that_it_stands_at(slider):
    pinned = []
    slider.pin_wanted.connect(pinned.append)
    QTest.keyClick(slider, Qt.Key.Key_P)
    assert pinned == [4]


def test_the_hand_rests_after_the_last_key(slider, qtbot, monkeypatch):
    slider._rest.setInterval(60)
    released = []
    slider.released.connect(lambda: released.append(slider.value()))
    for _ in range(3):
        QTest.keyClick(slider, Qt.Key.Key_Right)
    assert released == []
    qtbot.waitUntil(lambda: released == [7])


def test_a_drag_says_each_rank_once_and_ends_at_its_release(slider):
    said, released = [], []
    slider.moved.connect(said.append)
    slider.released.connect(lambda: released.append(slider.value()))
    QTest.mousePress(slider, LEFT, pos=at(slider, 4))
    for rank in (5, 6, 6, 7, 20):
        QTest.mouseMove(slider, at(slider, rank))
    assert released == []
    QTest.mouseRelease(slider, LEFT, pos=at(slider, 20))
    assert (said, released) == ([5, 6, 7, 12], [12])


@pytest.mark.parametrize("take", ["hide", "setDisabled"])
def test_a_slider_that_is_taken_from_under_the_hand_is_let_go(slider, take):
    released = []
    slider.released.connect(lambda: released.append(slider.value()))
    QTest.mousePress(slider, LEFT, pos=at(slider, 4))
    QTest.mouseMove(slider, at(slider, 6))
    getattr(slider, take)(*([True] if take == "setDisabled" else []))
    assert (released, slider.isSliderDown()) == ([6], False)
    slider.setEnabled(True)
    slider.show()
    QTest.mouseRelease(slider, LEFT, pos=at(slider, 9))
    assert (released, slider.value()) == ([6], 6)


def test_the_handle_is_held_where_it_was_taken(slider):
    said = []
    slider.moved.connect(said.append)
    grip = at(slider, 4) + QPoint(12, 0)
    QTest.mousePress(slider, LEFT, pos=grip)
    assert said == []
    QTest.mouseMove(slider, at(slider, 5) + QPoint(12, 0))
    QTest.mouseRelease(slider, LEFT, pos=at(slider, 5) + QPoint(12, 0))
    assert said == [5]


def test_a_click_goes_there_and_shift_snaps_to_powers_of_two(slider):
    QTest.mouseClick(slider, LEFT, pos=at(slider, 10))
    assert slider.value() == 10
    QTest.mouseClick(slider, LEFT, SHIFT, at(slider, 7))
    assert slider.value() == 8
    QTest.mouseClick(slider, LEFT, SHIFT, at(slider, 11))
    assert slider.value() == 12, "the highest rank is a stop, too"


@pytest.mark.parametrize(
    ("turn", "modifier", "rank"), [(120, 0, 5), (-240, 0, 2), (120, SHIFT, 8), (-120, SHIFT, 2)]
)
def test_wheel(slider, turn, modifier, rank):
    place = QPointF(at(slider, 4))
    event = QWheelEvent(
        place,
        slider.mapToGlobal(place),
        QPoint(),
        QPoint(0, turn),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier(modifier),
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(slider, event)
    assert slider.value() == rank


def test_stops():
    assert stops(1, 12) == [1, 2, 4, 8, 12]
    assert stops(3, 16) == [3, 4, 8, 16]
    assert nearest_stop(11, 1, 12) == 12
    assert next_stop(12, 1, 12, 1) == 12
    assert next_stop(5, 1, 12, -1) == 4


def test_a_screen_reader_hears_the_rank_and_may_set_it(slider):
    said = []
    slider.moved.connect(said.append)
    slider.set_rank(4, "81 % of the energy kept")
    slider.set_pinned((8,))
    reader = QAccessible.queryAccessibleInterface(slider)
    value = reader.valueInterface()
    assert reader.text(QAccessible.Text.Name) == "Rank"
    assert reader.text(QAccessible.Text.Description) == "rank 4 of 12; 81 % of the energy kept; pinned: 8"
    assert isinstance(reader, QAccessibleInterface)
    assert (value.minimumValue(), value.currentValue(), value.maximumValue()) == (1, 4, 12)
    value.setCurrentValue(6)
    assert said == [6]


@pytest.mark.parametrize("highest", [1, 2, 8, 12, 64, 100, 256])
@pytest.mark.parametrize("wide", [420, 900, 1600])
def test_numbers_never_touch_and_both_ends_have_one(slider, highest, wide):
    slider.resize(wide, slider.height())
    slider.set_ranks(1, highest)
    numbers = slider.numbered()
    assert numbers[0] == 1
    assert numbers[-1] == highest
    if highest > 1:
        gaps = [slider.x_of(b) - slider.x_of(a) for a, b in pairwise(numbers)]
        assert min(gaps) > 7 * len(str(highest)) + 4
    if highest <= 12 and wide >= 900:
        assert numbers == list(range(1, highest + 1))


def test_the_axis_says_when_it_changes_and_goes_both_ways(slider):
    changed = []
    slider.axis_changed.connect(lambda: changed.append(True))
    slider.set_ranks(1, 12)
    assert changed == []
    slider.set_ranks(2, 64)
    slider.resize(1200, slider.height())
    assert len(changed) == 2
    assert all(slider.rank_at(slider.x_of(rank)) == rank for rank in range(2, 65))
    assert (slider.rank_at(-50), slider.rank_at(5000)) == (2, 64)
    assert slider.x_of(2) == rank_slider.LEFT
    assert slider.x_of(64) == 1200 - rank_slider.RIGHT


def test_flags_handle_and_focus_are_painted_in_every_scheme(slider, scheme, colours):
    slider.clearFocus()
    slider.resize(500, slider.height())
    bare = colours(slider)
    assert bare[theme.tokens.accent] > 200
    slider.set_pinned((2, 9))
    flagged = colours(slider)
    assert flagged[theme.tokens.text] > bare.get(theme.tokens.text, 0) + 200
    slider.setFocus()
    assert slider.hasFocus()
    assert colours(slider)[theme.tokens.focus] > 50


def test_an_axis_without_room_has_its_ends_only():
    assert spaced(1, 64, lambda rank: 10.0, 20.0) == [1, 64]
    assert spaced(3, 3, lambda rank: 10.0, 20.0) == [3]


@pytest.mark.parametrize("pinned", [(5, 6, 7, 8), (250, 256, 255, 254), (1, 2, 100)])
def test_flags_of_neighbours_hang_side_by_side(slider, pinned):
    slider.set_ranks(1, 256)
    flags = cloths(pinned, slider.x_of, 19, slider.width())
    assert sorted(flags) == sorted(pinned)
    for one, next_one in pairwise(flags[rank] for rank in sorted(pinned)):
        assert one.right() < next_one.left()
    assert all(flag.left() >= 0 and flag.right() <= slider.width() for flag in flags.values())
    assert abs(flags[min(pinned)].left() - slider.x_of(min(pinned))) < 100

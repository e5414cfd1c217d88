"""The small rank slider as a hand, a wheel, a keyboard and a screen reader meet it."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QAccessible, QAccessibleInterface, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from widgets.rank_steps import RankSteps
from widgets.theme import theme

SHIFT = Qt.KeyboardModifier.ShiftModifier
NONE = Qt.KeyboardModifier.NoModifier


@pytest.fixture
def steps(qtbot):
    steps = RankSteps("sort", 1)
    qtbot.addWidget(steps)
    steps.resize(84, 32)
    steps.set_rank(5, (1, 12))
    steps.show()
    return steps


def place(steps, rank: int) -> QPoint:
    """Inside the cell of ``rank``."""
    return QPointF(steps.x_of(rank) - 1, steps.bar_rect().center().y()).toPoint()


def ink(steps, rank: int) -> str:
    # To the left of the grip, which stands at the end of the cell that plays.
    left = round(steps.x_of(rank - 1) + 2)
    return steps.grab().toImage().pixelColor(left, round(steps.bar_rect().center().y())).name()


@pytest.mark.parametrize(
    ("key", "modifiers", "rank"),
    [
        (Qt.Key.Key_Right, NONE, 6),
        (Qt.Key.Key_Left, NONE, 4),
        (Qt.Key.Key_Right, SHIFT, 8),
        (Qt.Key.Key_Left, SHIFT, 4),
        (Qt.Key.Key_PageUp, NONE, 8),
        (Qt.Key.Key_PageDown, NONE, 4),
        (Qt.Key.Key_Home, NONE, 1),
        (Qt.Key.Key_End, NONE, 12),
    ],
)
def test_keys(steps, key, modifiers, rank):
    said = []
    steps.moved.connect(said.append)
    QTest.keyClick(steps, key, modifiers)
    assert said == [rank]


def test_all_of_it_is_the_last_stop_above(steps):
    for rank in (8, 12, 12):
        steps.leap(1)
        assert steps.value() == rank
    for rank in (8, 4, 2, 1, 1):
        steps.leap(-1)
        assert steps.value() == rank


def test_a_drag_goes_from_cell_to_cell_and_is_released_once(steps):
    said, released = [], []
    steps.moved.connect(said.append)
    steps.released.connect(lambda: released.append(True))
    left = Qt.MouseButton.LeftButton
    QTest.mousePress(steps, left, NONE, place(steps, 5))
    for rank in (7, 7, 9):
        QTest.mouseMove(steps, place(steps, rank))
    assert released == []
    QTest.mouseRelease(steps, left, NONE, place(steps, 9))
    assert (said, released) == ([7, 9], [True])
    QTest.mouseMove(steps, place(steps, 2))
    assert said == [7, 9], "the hand has left it"
    QTest.mousePress(steps, left, SHIFT, place(steps, 7))
    QTest.mouseRelease(steps, left, SHIFT, place(steps, 7))
    assert said[-1] == 8, "Shift catches powers of two"
    QTest.mouseDClick(steps, left, NONE, place(steps, 2))
    assert steps.value() == 12


def test_the_wheel(steps):
    def turn(notches: int, modifiers: Qt.KeyboardModifier = NONE) -> int:
        centre = QPointF(steps.rect().center())
        event = QWheelEvent(
            centre,
            steps.mapToGlobal(centre),
            QPoint(),
            QPoint(0, 120 * notches),
            Qt.MouseButton.NoButton,
            modifiers,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(steps, event)
        return steps.value()

    assert [turn(1), turn(-2), turn(1, SHIFT), turn(-1, SHIFT)] == [6, 4, 8, 4]


def test_it_is_lit_up_to_the_rank_that_plays(steps, scheme):
    hue = theme.expert(1).name()
    assert [ink(steps, rank) == hue for rank in (1, 5, 6, 12)] == [True, True, False, False]
    steps.set_rank(None, (1, 200))
    assert ink(steps, 100) == hue, "too many for cells of their own"
    steps.set_dimmed(True)
    assert ink(steps, 100) != hue


def test_readers_hear_name_value_and_what_is_kept(steps):
    said = []
    steps.moved.connect(said.append)
    steps.set_rank(3, (1, 8), "keeps 91 % of its energy")
    interface = QAccessible.queryAccessibleInterface(steps)
    assert interface.role() == QAccessible.Role.Slider
    assert interface.text(QAccessible.Text.Name) == "Rank of sort"
    assert interface.text(QAccessible.Text.Description) == "3 of 8, keeps 91 % of its energy"
    assert isinstance(interface, QAccessibleInterface)
    assert interface.valueInterface().currentValue() == 3
    assert steps.words == "r 3/8"
    assert said == []
    steps.step(1)
    assert steps.accessibleDescription().startswith("4 of 8")


def test_below_the_lowest_rank_that_was_trained_there_is_nothing(steps):
    steps.set_rank(None, (3, 12))
    for rank in (8, 4, 3, 3):
        steps.leap(-1)
        assert steps.value() == rank
    QTest.mouseClick(steps, Qt.MouseButton.LeftButton, NONE, place(steps, 1))
    assert (steps.value(), steps.words, steps.slides) == (3, "r 3/12", True)
    steps.set_rank(None, (4, 4))
    assert not steps.slides


def test_beside_a_title_the_bar_stands_alone_in_the_middle(qtbot):
    bare = RankSteps("this pane", caption=False)
    qtbot.addWidget(bare)
    bare.resize(84, 36)
    bare.set_rank(5, (1, 12))
    assert bare.bar_rect().center().y() == 18
    assert bare.sizeHint().height() < RankSteps("sort").sizeHint().height()
    assert bare.rank_at(bare.x_of(7) - 1) == 7

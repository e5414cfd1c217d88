"""A wheel that passes over a box is left to its surroundings; with the keyboard in the box it turns it."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QComboBox, QSpinBox, QVBoxLayout, QWidget

from widgets.still import still


def combo() -> QComboBox:
    box = QComboBox()
    box.addItems(["one", "two", "three"])
    return box


def turn(box: QWidget) -> bool:
    """Whether the box took the wheel to itself."""
    middle = QPointF(box.rect().center())
    event = QWheelEvent(
        middle,
        QPointF(box.mapToGlobal(box.rect().center())),
        QPoint(0, 0),
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(box, event)
    return event.isAccepted()


@pytest.mark.parametrize("make", [combo, lambda: QSpinBox(minimum=0, value=5)])
def test_the_wheel_changes_only_where_the_keyboard_is(qtbot, make):
    box = still(make())
    room = QWidget(focusPolicy=Qt.FocusPolicy.StrongFocus)
    QVBoxLayout(room).addWidget(box)
    qtbot.addWidget(room)
    with qtbot.waitActive(room):
        room.show()
    read = box.currentIndex if isinstance(box, QComboBox) else box.value
    room.setFocus()
    before = read()
    assert not turn(box)
    assert read() == before
    box.setFocus()
    qtbot.waitUntil(box.hasFocus)
    assert turn(box)
    assert read() != before

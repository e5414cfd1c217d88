"""Tab in a group of buttons, and through parts that have come and gone."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QHBoxLayout, QLineEdit, QSplitter, QVBoxLayout, QWidget

from widgets.choice import Choice
from widgets.tab_order import order, stops


def test_parts_are_visited_as_they_lie(qtbot):
    whole = QSplitter()
    qtbot.addWidget(whole)
    left, right = QWidget(), QWidget()
    fields = {name: QLineEdit(objectName=name) for name in "dcba"}
    column, row = QVBoxLayout(left), QHBoxLayout()
    column.addWidget(fields["a"])
    column.addLayout(row)
    row.addWidget(fields["b"])
    row.addWidget(fields["c"])
    QVBoxLayout(right).addWidget(fields["d"])
    whole.addWidget(right)
    whole.insertWidget(0, left)
    assert [part.objectName() for part in stops(whole)] == ["a", "b", "c", "d"]
    order(whole)
    with qtbot.waitActive(whole):
        whole.show()
    fields["a"].setFocus()
    qtbot.waitUntil(fields["a"].hasFocus)
    for name in "bcd":
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        assert QApplication.focusWidget() is fields[name]


def test_tab_stops_at_the_pressed_button_alone(qtbot):
    choice = Choice("kind", "Kind", {name: (name, "") for name in ("one", "two", "three")})
    qtbot.addWidget(choice)
    assert [part.objectName() for part in stops(choice)] == ["kind.one"]
    choice.choose("three")
    assert [part.objectName() for part in stops(choice)] == ["kind.three"]

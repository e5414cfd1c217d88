"""A page's button: what the page takes may be held over it or let go there, and nothing else."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QApplication

from widgets.rail_button import RailButton

MIME = "application/x-thing"
OTHER = "application/x-thing-to-come"


@pytest.fixture
def button(qtbot):
    button = RailButton("mixer", "Mixer", "go-mixer", {MIME: True, OTHER: False})
    qtbot.addWidget(button)
    return button


def arguments(kind=MIME):
    mime = QMimeData()
    mime.setData(kind, "größer".encode())
    # The events keep no reference to what they carry: the caller does.
    return mime, (Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)


def test_what_rests_over_it_opens_the_page(button, qtbot):
    _mime, given = arguments()
    with qtbot.waitSignal(button.held):
        QApplication.sendEvent(button, QDragEnterEvent(QPoint(4, 4), *given))


def test_what_only_passes_opens_nothing(button, qtbot):
    _mime, given = arguments()
    QApplication.sendEvent(button, QDragEnterEvent(QPoint(4, 4), *given))
    QApplication.sendEvent(button, QDragLeaveEvent())
    assert not button._hold.isActive()
    _other, strange = arguments("text/plain")
    enter = QDragEnterEvent(QPoint(4, 4), *strange)
    enter.ignore()
    QApplication.sendEvent(button, enter)
    assert not enter.isAccepted()
    assert not button._hold.isActive()


def test_what_is_let_go_is_told(button, qtbot):
    _mime, given = arguments()
    with qtbot.waitSignal(button.dropped) as told:
        QApplication.sendEvent(button, QDragEnterEvent(QPoint(4, 4), *given))
        QApplication.sendEvent(button, QDropEvent(QPointF(4, 4), *given))
    assert told.args == [MIME, "größer"]
    assert not button._hold.isActive()


def test_what_has_no_place_on_the_page_yet_opens_nothing_and_may_be_let_go(button, qtbot):
    _mime, given = arguments(OTHER)
    with qtbot.waitSignal(button.dropped) as told:
        QApplication.sendEvent(button, QDragEnterEvent(QPoint(4, 4), *given))
        assert not button._hold.isActive()
        QApplication.sendEvent(button, QDropEvent(QPointF(4, 4), *given))
    assert told.args == [OTHER, "größer"]

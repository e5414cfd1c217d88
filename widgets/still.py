"""Boxes that the wheel leaves alone unless the keyboard is in them: a panel scrolls without changing."""

from __future__ import annotations

from typing import TypeVar

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtWidgets import QAbstractSpinBox, QComboBox

__all__ = ["still"]

Box = TypeVar("Box", bound=QComboBox | QAbstractSpinBox)


class _Stillness(QObject):
    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Wheel and not watched.hasFocus():
            event.ignore()  # and whatever scrolls around the box takes it
            return True
        return False


_stillness = _Stillness()


def still(box: Box) -> Box:
    """The same box, its value safe from a passing wheel."""
    box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    box.installEventFilter(_stillness)
    return box

"""Painted rows, read one at a time: by the mouse over them, or by a cursor that keys and clicks move."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QFocusEvent, QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QWidget

from widgets.theme import theme

__all__ = ["RowReader"]


class RowReader(QWidget):
    """``read(words)``: what the row under mouse or cursor says. Arrow keys, Home and End move the cursor.

    Whoever paints the rows says how many there are (``row_count``), which lies where (``row_at``) and what it
    says (``row_words``), and reads ``_current`` (the cursor) and ``_hover`` (the mouse, -1 where it is not).
    """

    read = Signal(str)

    def __init__(self, words: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._current, self._hover = 0, -1
        self.setAccessibleName(words)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        theme.changed.connect(self.update)

    def row_count(self) -> int:
        raise NotImplementedError

    def row_at(self, y: float) -> int:
        """The row at a height in pixels, -1 where there is none."""
        raise NotImplementedError

    def row_words(self, row: int) -> str:
        raise NotImplementedError

    @property
    def words(self) -> str:
        """What the row under mouse or cursor says."""
        return self.row_words(self._read) if self._read < self.row_count() else ""

    @property
    def _read(self) -> int:
        return self._hover if self._hover >= 0 else self._current

    def _say(self) -> None:
        self.setAccessibleDescription(self.words)
        self.read.emit(self.words)
        self.update()

    def _go(self, row: int) -> None:
        """A person moves the cursor."""
        self._current, self._hover = row, -1
        self._say()

    def _point_at(self, row: int) -> None:
        if row != self._hover:
            self._hover = row
            self._say()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        last = self.row_count() - 1
        moves = {
            Qt.Key.Key_Up: self._current - 1,
            Qt.Key.Key_Down: self._current + 1,
            Qt.Key.Key_Home: 0,
            Qt.Key.Key_End: last,
        }
        if Qt.Key(event.key()) in moves and last >= 0:
            self._go(max(0, min(moves[Qt.Key(event.key())], last)))
            QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, self.words))
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        row = self.row_at(event.position().y())
        if row >= 0 and event.button() == Qt.MouseButton.LeftButton:
            self._go(row)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._point_at(self.row_at(event.position().y()))

    def leaveEvent(self, event: QEvent) -> None:
        self._point_at(-1)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.update()

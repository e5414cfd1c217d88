"""The command palette and the shortcut sheet: every action by its name."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QGridLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

__all__ = ["Finder", "ShortcutSheet"]

WIDTH = 520
ROW = 29


class Sheet(QFrame):
    """A panel floating over the top middle of its window; Escape or a lost focus puts it away.

    The keyboard goes back to where it was when the panel opened.
    """

    closed = Signal()

    def __init__(self, name: str, words: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setAccessibleName(words)
        self._back: QWidget | None = None
        self.setProperty("role", "sheet")
        self.hide()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.put_away()
        else:
            super().keyPressEvent(event)

    def put_away(self) -> None:
        if not self.isVisible():
            return
        back, self._back = self._back, None
        inside = QApplication.focusWidget()
        self.hide()
        had_focus = inside is not None and (inside is self or self.isAncestorOf(inside))
        if had_focus and back is not None and isValid(back) and back.isVisible():
            back.setFocus(Qt.FocusReason.OtherFocusReason)
        self.closed.emit()

    def _place(self) -> None:
        if not self.isVisible():
            self._back = QApplication.focusWidget()
        room = self.parentWidget().rect()
        self.setFixedWidth(min(WIDTH, room.width() - 32))
        self.adjustSize()
        self.move((room.width() - self.width()) // 2, 64)
        self.raise_()
        self.show()


class Finder(Sheet):
    """Type a few letters, press Enter. Finds in every word of an action's text, in any order."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__("finder", "Find an action", parent)
        self._actions: list[QAction] = []
        self._field = QLineEdit(self, objectName="finder-field", accessibleName="Find an action or a page")
        self._field.setPlaceholderText("Find an action or a page")
        self._field.textChanged.connect(self._filter)
        self._field.installEventFilter(self)
        self._list = QTreeWidget(self, objectName="finder-list", accessibleName="Actions found")
        self._list.setColumnCount(2)
        self._list.setHeaderHidden(True)
        self._list.setRootIsDecorated(False)
        self._list.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self._list.header().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self._list.header().setStretchLastSection(False)
        self._list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._list.itemClicked.connect(self._run)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.addWidget(self._field)
        column.addWidget(self._list)

    def offer(self, actions: list[QAction]) -> None:
        """Open with these actions; disabled ones stay out."""
        self._actions = [action for action in actions if action.isEnabled()]
        self._field.clear()
        self._filter("")
        self._place()
        self._field.setFocus()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.FocusOut and self.isVisible():
            self.put_away()
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(Qt.Key(event.key()))
            if step and self._list.topLevelItemCount():
                row = self._list.indexOfTopLevelItem(self._list.currentItem()) + step
                self._point_at(row % self._list.topLevelItemCount())
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._run(self._list.currentItem())
                return True
        return super().eventFilter(watched, event)

    def _filter(self, text: str) -> None:
        wanted = text.lower().split()
        self._list.clear()
        for action in self._actions:
            words = action.text().replace("&", "")
            if all(word in words.lower() for word in wanted):
                keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
                item = QTreeWidgetItem(self._list, [words, keys])
                item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight)
                item.setData(0, Qt.ItemDataRole.UserRole, action)
        self._point_at(0)
        self._list.setFixedHeight(ROW * min(max(self._list.topLevelItemCount(), 1), 9) + 4)
        if self.isVisible():
            self.adjustSize()

    def _point_at(self, row: int) -> None:
        self._list.setCurrentItem(self._list.topLevelItem(row))

    def _run(self, item: QTreeWidgetItem | None) -> None:
        if item is not None:
            action = item.data(0, Qt.ItemDataRole.UserRole)
            self.put_away()
            action.trigger()


class ShortcutSheet(Sheet):
    """Every key and what it does."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__("shortcut-sheet", "Keyboard shortcuts", parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(24, 24, 24, 24)
        self._grid.setHorizontalSpacing(32)

    def offer(self, keys: list[tuple[str, str]]) -> None:
        """Open with pairs of key and words."""
        while entry := self._grid.takeAt(0):
            entry.widget().deleteLater()
        heading = QLabel("Keyboard shortcuts", self)
        heading.setProperty("role", "title")
        self._grid.addWidget(heading, 0, 0, 1, 2)
        for row, (key, words) in enumerate(keys, start=1):
            self._grid.addWidget(QLabel(words, self), row, 0)
            label = QLabel(key, self)
            label.setProperty("role", "dim")
            self._grid.addWidget(label, row, 1, Qt.AlignmentFlag.AlignRight)
        self._place()
        self.setFocus()

    def focusOutEvent(self, event: QEvent) -> None:
        self.put_away()

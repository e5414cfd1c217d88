"""A person's own words about something: tags to add and take away, and a note that keeps itself."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtWidgets import QLineEdit, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from widgets.flow import Flow

__all__ = ["NoteField", "TagRow"]

LONGEST = 60


class TagRow(QWidget):
    """Chips, and a field for one more. Signals: ``changed(tags)``, a list, when one came or went."""

    changed = Signal(list)

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self._tags: list[str] | None = None
        self._chips = QWidget(self)
        self._flow = Flow(4, self._chips)
        self.field = QLineEdit(self, objectName=f"{name}-new", accessibleName="Add a tag")
        self.field.setPlaceholderText("Add a tag")
        self.field.setMaxLength(LONGEST)
        self.field.returnPressed.connect(self._add)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self._chips)
        column.addWidget(self.field)

    def show_tags(self, tags: Sequence[str]) -> None:
        if list(tags) == self._tags:
            return
        had_focus = self._chips.isAncestorOf(self.focusWidget()) if self.focusWidget() else False
        self._tags = list(tags)
        self._flow.fill([self._chip(place, tag) for place, tag in enumerate(self._tags)])
        self._chips.setVisible(bool(self._tags))
        self._chips.updateGeometry()
        if had_focus:
            self.field.setFocus(Qt.FocusReason.OtherFocusReason)

    def _chip(self, place: int, tag: str) -> QPushButton:
        chip = QPushButton(f"{tag}  ×".replace("&", "&&"), self._chips)
        chip.setObjectName(f"{self.objectName()}-{place}")
        chip.setAccessibleName(f"Take the tag {tag} away")
        chip.setToolTip("Take this tag away")
        chip.setProperty("role", "chip")
        chip.clicked.connect(lambda: self.changed.emit([other for other in self._tags or [] if other != tag]))
        return chip

    def _add(self) -> None:
        tag = " ".join(self.field.text().split())
        self.field.clear()
        if tag and tag not in (self._tags or []):
            self.changed.emit([*(self._tags or []), tag])


class NoteField(QPlainTextEdit):
    """Signals: ``written(text)`` when a person has written and gone on, or pressed Ctrl+Enter."""

    written = Signal(str)

    def __init__(self, name: str, words: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._kept = ""
        self.setObjectName(name)
        self.setAccessibleName(words)
        self.setPlaceholderText("A note of your own")
        self.setTabChangesFocus(True)
        self.setFixedHeight(76)

    def show_note(self, text: str) -> None:
        """Show what is kept; what a person is writing stays."""
        if text != self._kept:
            self._kept = text
            self.setPlainText(text)

    def keep(self) -> None:
        """What was written is said once."""
        if self.toPlainText() != self._kept:
            self._kept = self.toPlainText()
            self.written.emit(self._kept)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        is_enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if is_enter and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.keep()
        else:
            super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.keep()

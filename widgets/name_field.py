"""A name that looks like a title until it is written in: Enter keeps what was written."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtWidgets import QLineEdit, QWidget

from widgets.theme import icon, theme

__all__ = ["NameField"]


class NameField(QLineEdit):
    """Signals: ``renamed(to)`` when another name was written and Enter pressed; ``left`` when a person is
    done with writing: by Enter, by Escape once more than there is to take back, or by going elsewhere."""

    renamed = Signal(str)
    left = Signal()

    def __init__(self, name: str, words: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = ""
        self.setObjectName(name)
        self.setAccessibleName(words)
        self.setToolTip("Press Enter to rename")
        self.setProperty("role", "title")
        self.setMaxLength(64)
        self.returnPressed.connect(self._keep)
        self._pencil = self.addAction(icon("edit", "text_dim"), QLineEdit.ActionPosition.TrailingPosition)
        self._pencil.setToolTip("Rename")
        self._pencil.triggered.connect(self.write)
        theme.changed.connect(self._tint)

    def show_name(self, name: str) -> None:
        """Show a name; what a person is writing about the same one stays."""
        if name != self._name or not self.hasFocus():
            self._name = name
            if self.text() != name:
                self.setText(name)
                self.setCursorPosition(0)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.text() != self._name:
            self.setText(self._name)
        elif event.key() == Qt.Key.Key_Escape:
            self.left.emit()
        else:
            super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        # Whoever leaves without Enter has not said so: the name is what it was.
        self.setText(self._name)
        self.setCursorPosition(0)
        if event.reason() != Qt.FocusReason.PopupFocusReason:
            self.left.emit()

    def _tint(self) -> None:
        self._pencil.setIcon(icon("edit", "text_dim"))

    def write(self) -> None:
        """Let a person write another name, from the first sign on."""
        self.setFocus(Qt.FocusReason.OtherFocusReason)
        self.selectAll()

    def _keep(self) -> None:
        text = self.text().strip()
        if text and text != self._name:
            self.renamed.emit(text)
        self.left.emit()

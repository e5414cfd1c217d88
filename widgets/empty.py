"""An empty page: what it is for, one picture, one button."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from widgets.theme import pixmap, theme

__all__ = ["Empty"]

WIDTH = 420


class Empty(QWidget):
    """Signals: ``pressed`` when the one ``button`` was pressed; without words for it there is none."""

    pressed = Signal()

    def __init__(
        self, drawing: str, title: str, words: str, button: str, name: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self._drawing = drawing
        self._picture = QLabel(self, alignment=Qt.AlignmentFlag.AlignCenter)
        self._heading = QLabel(title, self, alignment=Qt.AlignmentFlag.AlignCenter, wordWrap=True)
        self._heading.setProperty("role", "title")
        self._text = QLabel(words, self, alignment=Qt.AlignmentFlag.AlignCenter, wordWrap=True)
        self._text.setProperty("role", "dim")
        self._text.setMaximumWidth(WIDTH)
        self._text.setMinimumWidth(1)  # narrow panels wrap more often rather than cut words
        column = QVBoxLayout(self)
        column.setSpacing(16)
        column.addStretch(2)
        column.addWidget(self._picture)
        column.addWidget(self._heading)
        middle = QHBoxLayout()  # an alignment instead would forget how high the wrapped words are
        middle.addStretch(1)
        middle.addWidget(self._text, 100)
        middle.addStretch(1)
        column.addLayout(middle)
        self.button: QPushButton | None = None
        if button:
            self.button = QPushButton(button, self, objectName=f"{name}-button", accessibleName=button)
            self.button.setProperty("role", "primary")
            self.button.clicked.connect(self.pressed)
            column.addWidget(self.button, 0, Qt.AlignmentFlag.AlignCenter)
        column.addStretch(3)
        theme.changed.connect(self._tint)
        self._tint()

    def say(self, title: str, words: str) -> None:
        """Say something else, where what is missing here differs."""
        self._heading.setText(title)
        self._text.setText(words)

    def _tint(self) -> None:
        self._picture.setPixmap(pixmap(self._drawing, 72, theme.tokens.edge, self.devicePixelRatioF()))

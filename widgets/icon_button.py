"""Buttons whose drawings follow the theme, named for readers and keyboards."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QPushButton, QToolButton, QWidget

from widgets.theme import icon, theme

__all__ = ["IconButton", "WordButton"]


class IconButton(QToolButton):
    """An icon alone; ``words`` is its tooltip, and its accessible name up to a key after two spaces."""

    def __init__(self, drawing: str, words: str, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._drawing, self._token = drawing, "text"
        self.setObjectName(name)
        self.setAccessibleName(words.partition("  ")[0])
        self.setToolTip(words)
        self.setIconSize(QSize(20, 20))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._tint()
        theme.changed.connect(self._tint)

    def draw(self, drawing: str, token: str = "text") -> None:
        """Show another drawing, or the same in another token's colour."""
        if (drawing, token) != (self._drawing, self._token):
            self._drawing, self._token = drawing, token
            self._tint()

    def _tint(self) -> None:
        self.setIcon(icon(self._drawing, self._token))


class WordButton(QPushButton):
    """An icon beside words."""

    def __init__(self, drawing: str, words: str, name: str, parent: QWidget | None = None) -> None:
        super().__init__(words, parent)
        self._drawing = drawing
        self.setObjectName(name)
        self.setAccessibleName(words)
        self.setIconSize(QSize(16, 16))
        self._tint()
        theme.changed.connect(self._tint)

    def _tint(self) -> None:
        self.setIcon(icon(self._drawing))

"""A tool button whose drawing follows the theme, named for readers and keyboards."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QToolButton, QWidget

from widgets.theme import icon, theme

__all__ = ["IconButton"]


class IconButton(QToolButton):
    """An icon of ours; ``words`` is its tooltip and accessible name, and its text when ``labelled``."""

    def __init__(
        self, drawing: str, words: str, name: str, parent: QWidget | None = None, *, labelled: bool = False
    ) -> None:
        super().__init__(parent)
        self._drawing = drawing
        self._token = "text"
        self.setObjectName(name)
        self.setAccessibleName(words)
        self.setToolTip(words)
        self.setIconSize(QSize(20, 20))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        if labelled:
            self.setText(words)
            self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            self.setProperty("role", "button")
            self.setIconSize(QSize(16, 16))
        self._tint()
        theme.changed.connect(self._tint)

    def draw(self, drawing: str, token: str = "text") -> None:
        """Show another drawing, or the same in another token's colour."""
        if (drawing, token) != (self._drawing, self._token):
            self._drawing, self._token = drawing, token
            self._tint()

    def _tint(self) -> None:
        self.setIcon(icon(self._drawing, self._token))

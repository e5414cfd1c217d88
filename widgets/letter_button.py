"""A button that is one letter and stays down: mute, solo, lock."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QToolButton, QWidget

from widgets.theme import theme

__all__ = ["LetterButton"]


class LetterButton(QToolButton):
    """``words`` are its accessible name, ``tip`` says what it does."""

    def __init__(self, letter: str, words: str, tip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setText(letter)
        self.setCheckable(True)
        self.setFixedSize(19, 24)
        self.setAccessibleName(words)
        self.setToolTip(tip)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._tint()
        theme.changed.connect(self._tint)

    def show_checked(self, on: bool) -> None:
        """Down or up without saying that anyone pressed it."""
        self.blockSignals(True)
        self.setChecked(on)
        self.blockSignals(False)

    def _tint(self) -> None:
        tokens = theme.tokens
        self.setStyleSheet(
            f"QToolButton {{ padding: 0; border: 1px solid {tokens.line}; border-radius: 4px;"
            f" font-weight: 600; color: {tokens.text_dim} }}"
            f"QToolButton:hover {{ border-color: {tokens.edge} }}"
            f"QToolButton:checked {{ background: {tokens.text}; color: {tokens.surface} }}"
            f"QToolButton:focus {{ border: 2px solid {tokens.focus}; padding: 0 }}"
        )

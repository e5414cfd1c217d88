"""A button whose verbs drop down below it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QWidget

from widgets.icon_button import WordButton

__all__ = ["MenuButton"]


class MenuButton(WordButton):
    """``offer(words, act)`` adds a verb; press, Space or Enter shows them, arrow keys go through them."""

    def __init__(self, drawing: str, words: str, name: str, parent: QWidget | None = None) -> None:
        super().__init__(drawing, words, name, parent)
        self.verbs = QMenu(self)
        self.clicked.connect(lambda: self.verbs.popup(self.mapToGlobal(self.rect().bottomLeft())))

    def offer(self, words: str, act: Callable[[], object]) -> QAction:
        action = self.verbs.addAction(words)
        action.triggered.connect(lambda _=False: act())
        return action

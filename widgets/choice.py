"""One of a few: buttons side by side of which exactly one is pressed."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QPushButton, QWidget

from widgets.tab_order import stop_at_pressed

__all__ = ["Choice"]


class Choice(QWidget):
    """``options`` are words and a tip by value; a button is called NAME.VALUE and arrows go between them.

    ``chosen(value)``: a person pressed another one; ``choose`` shows one without a word.
    """

    chosen = Signal(str)

    def __init__(self, name: str, words: str, options: Mapping[str, tuple[str, str]], role: str = "") -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(words)
        self.buttons: dict[str, QPushButton] = {}
        self._group = QButtonGroup(self)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for value, (label, tip) in options.items():
            button = QPushButton(label, objectName=f"{name}.{value}", checkable=True)
            button.setProperty("role", role)
            button.setAccessibleName(f"{words}: {label}")
            button.setToolTip(tip)
            if not role:
                button.setMinimumWidth(1)  # narrow panels would rather have narrow buttons than wide panels
            button.clicked.connect(lambda _=False, value=value: self.chosen.emit(value))
            self.buttons[value] = button
            self._group.addButton(button)
            row.addWidget(button, 1)
        self.choose(next(iter(options)))
        stop_at_pressed(self._group)

    @property
    def value(self) -> str:
        return next(value for value, button in self.buttons.items() if button.isChecked())

    def choose(self, value: str) -> None:
        self.buttons[value].setChecked(True)

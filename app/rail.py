"""The rail at the window's left edge: a button for each page; adapters can be let go on some of them."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QFrame, QLabel, QVBoxLayout, QWidget

from app.openings import PAGES, TAKES
from widgets.rail_button import RailButton
from widgets.tab_order import stop_at_pressed
from widgets.theme import pixmap, theme

__all__ = ["Rail"]


class Rail(QFrame):
    """``wanted(page)``: go there; ``dropped(page, mime type, text)``: something was let go on its button."""

    wanted = Signal(str)
    dropped = Signal(str, str, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("rail")
        self.setAccessibleName("Pages")
        self.setFixedWidth(56)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 8)
        column.setSpacing(0)
        self._mark = QLabel(self, alignment=Qt.AlignmentFlag.AlignCenter)
        self._mark.setFixedHeight(56)
        column.addWidget(self._mark)
        self._group = QButtonGroup(self)
        self._buttons: dict[str, RailButton] = {}
        for place, (name, title) in enumerate(PAGES.items(), start=1):
            button = self._buttons[name] = self._button(name, f"{title}  Ctrl+{place}")
            if name == "settings":
                column.addStretch(1)
            column.addWidget(button)
        stop_at_pressed(self._group)
        theme.changed.connect(self._tint)
        self._tint()

    def _button(self, name: str, tip: str) -> RailButton:
        button = RailButton(name, PAGES[name], f"go-{name}", TAKES.get(name, {}), self)
        button.setToolTip(tip)
        button.clicked.connect(lambda: self.wanted.emit(name))
        button.held.connect(lambda: self.wanted.emit(name))
        button.dropped.connect(lambda kind, text: self.dropped.emit(name, kind, text))
        self._group.addButton(button)
        return button

    def show_page(self, name: str) -> None:
        self._buttons[name].setChecked(True)

    @property
    def pressed(self) -> RailButton:
        """The button of the page that is shown."""
        return next(button for button in self._buttons.values() if button.isChecked())

    def _tint(self) -> None:
        self._mark.setPixmap(pixmap("app", 32, theme.tokens.text, self.devicePixelRatioF()))

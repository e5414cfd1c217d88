"""Over every page: its title, what the page puts beside it, the base model, the way to search."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QWidget

from widgets.icon_button import WordButton

__all__ = ["TitleRow"]


class TitleRow(QWidget):
    """``base_chosen(name)``: a person chose another one; ``search_wanted``."""

    base_chosen = Signal(str)
    search_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedHeight(56)
        self._title = QLabel(self)
        self._title.setProperty("role", "title")
        self.base = QComboBox(self, objectName="base", accessibleName="Base model")
        self.base.setMinimumWidth(176)
        self._heads = QHBoxLayout()
        self._heads.setContentsMargins(0, 0, 0, 0)
        label = QLabel("Base", self)
        label.setProperty("role", "dim")
        find = WordButton("search", "Search  Ctrl+K", "search", self)
        find.setAccessibleName("Search actions and pages")
        row = QHBoxLayout(self)
        row.setContentsMargins(24, 0, 16, 0)
        row.setSpacing(8)
        row.addWidget(self._title)
        row.addSpacing(16)
        row.addLayout(self._heads)
        row.addStretch(1)
        row.addWidget(label)
        row.addWidget(self.base)
        row.addSpacing(8)
        row.addWidget(find)
        find.clicked.connect(self.search_wanted)
        self.base.currentTextChanged.connect(self.base_chosen)

    def add_head(self, head: QWidget) -> None:
        """What a page has beside its title; hidden until the page is shown: one may be built before that."""
        head.hide()
        self._heads.addWidget(head)

    def show_title(self, title: str) -> None:
        self._title.setText(title)

    def show_bases(self, names: Sequence[str], chosen: str) -> None:
        """The bases that there are, without saying that anyone chose one."""
        self.base.blockSignals(True)
        if [self.base.itemText(i) for i in range(self.base.count())] != list(names):
            self.base.clear()
            self.base.addItems(names)
        self.base.setCurrentText(chosen)
        self.base.blockSignals(False)
        self.base.setEnabled(bool(names))

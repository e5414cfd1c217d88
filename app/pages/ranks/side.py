"""Beside the panes, one at a time: the spectrum, the training of such an adapter, what can be made of it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QScrollArea, QStackedLayout, QVBoxLayout, QWidget

from widgets.choice import Choice

__all__ = ["Side"]

PARTS = {
    "spectrum": ("Spectrum", "How the energy lies in projections and ranks"),
    "training": ("Train", "Train one adapter for every rank"),
    "making": ("Make", "Bake the live rank, order the columns, write it to a folder"),
}


class Side(QWidget):
    """``parts`` by name; the spectrum fills its place, forms scroll."""

    def __init__(self, parts: dict[str, QWidget], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("ranks.side")
        self.choice = Choice("ranks.side.view", "Beside the answers", PARTS, role="view")
        self.choice.chosen.connect(self.show_part)
        self._places = {name: _scrolled(name, part) for name, part in parts.items()}
        holder = QWidget()
        self._stack = QStackedLayout(holder)
        for place in self._places.values():
            self._stack.addWidget(place)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 8, 16, 8)
        column.setSpacing(8)
        column.addWidget(self.choice)
        column.addWidget(holder, 1)
        self.setMinimumWidth(248)

    def show_part(self, name: str) -> None:
        self.choice.choose(name)
        self._stack.setCurrentWidget(self._places[name])


def _scrolled(name: str, part: QWidget) -> QWidget:
    if name == "spectrum":
        return part
    area = QScrollArea(objectName=f"ranks.side.{name}", widgetResizable=True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setWidget(part)
    return area

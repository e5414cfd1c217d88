"""A box of models that can lend an ear, an eye or a language model; its last entry names a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QFileDialog

from app.pages.fields import fill, narrow

__all__ = ["PartBox"]

CHOOSE = "Choose a folder"


class PartBox(QComboBox):
    """``chosen(name)``: a person chose one; "" is ``nothing``, where there may be none."""

    chosen = Signal(str)

    def __init__(self, name: str, words: str, nothing: str = "") -> None:
        super().__init__(objectName=name, accessibleName=words)
        self._nothing = nothing
        self._shown = ""
        narrow(self)
        self.activated.connect(self._activated)

    def offer(self, names: Sequence[str], chosen: str) -> None:
        """Show ``names``, and ``chosen`` as the one in use, also where it is a folder."""
        self._shown = chosen
        items = [(name, name) for name in names]
        if chosen and chosen not in names:
            items.append((Path(chosen).name, chosen))
        if self._nothing:
            items.insert(0, (self._nothing, ""))
        fill(self, [*items, (CHOOSE, CHOOSE)], chosen)
        self.setToolTip(chosen)
        self.setPlaceholderText("Choose one")

    def _activated(self, index: int) -> None:
        name = self.itemData(index)
        if name == CHOOSE:
            self.setCurrentIndex(self.findData(self._shown))
            name = QFileDialog.getExistingDirectory(self, self.accessibleName())
            if not name:
                return
        self.chosen.emit(name)

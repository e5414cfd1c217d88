"""A box of data sets whose last entry reads a file of one's own."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QFileDialog

from app.pages.fields import fill, narrow
from app.words import count
from engine.messages import DataSet

__all__ = ["CHOOSE", "DATA_FILES", "DataBox"]

CHOOSE = "Choose file…"
"""The entry that asks for a file."""

DATA_FILES = "Data (*.jsonl *.json *.csv *.parquet);;All files (*)"
"""What a file dialog offers."""


class DataBox(QComboBox):
    """``chosen(path)``: a person chose a set or a file; "" is ``nothing``, where there may be none."""

    chosen = Signal(str)

    def __init__(self, name: str, words: str, nothing: str = "") -> None:
        super().__init__(objectName=name, accessibleName=words)
        self._nothing = nothing
        self._path = ""
        narrow(self)
        self.activated.connect(self._activated)

    def offer(self, sets: Sequence[DataSet], chosen: DataSet | None) -> None:
        """Show ``sets``, and ``chosen`` as the one in use, wherever it comes from."""
        self._path = chosen.path if chosen is not None else ""
        besides = [chosen] if chosen is not None and chosen not in sets else []
        items = [(data.name, data.path) for data in (*sets, *besides)]
        if self._nothing:
            items.insert(0, (self._nothing, ""))
        fill(self, [*items, (CHOOSE, CHOOSE)], self._path)
        about = f"{count(chosen.rows, 'row')}. {chosen.description}".strip() if chosen is not None else ""
        self.setToolTip(about)
        self.setPlaceholderText("Choose data")

    def _activated(self, index: int) -> None:
        path = self.itemData(index)
        if path == CHOOSE:
            self.setCurrentIndex(self.findData(self._path))
            path, _ = QFileDialog.getOpenFileName(self, self.accessibleName(), "", DATA_FILES)
            if not path:
                return
        self.chosen.emit(path)

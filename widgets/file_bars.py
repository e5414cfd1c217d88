"""How far each of a few files is: name, bar, figures, one under the other."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QProgressBar, QWidget

__all__ = ["PARTS", "FileBars", "FileFace", "plain_bar"]

PARTS = 1000
FileFace = tuple[str, float, str]
"""Name, share 0..1, figures."""


class FileBars(QWidget):
    """``show_files`` shows these and no others; bars that stay are only moved."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bars: dict[str, tuple[QProgressBar, QLabel]] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(16)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(1, 1)

    def show_files(self, files: tuple[FileFace, ...]) -> None:
        if [name for name, _, _ in files] != list(self._bars):
            while entry := self._grid.takeAt(0):
                entry.widget().deleteLater()
            self._bars = {name: self._file(row, name) for row, (name, _, _) in enumerate(files)}
        for name, share, figures in files:
            bar, label = self._bars[name]
            bar.setValue(round(PARTS * share))
            label.setText(figures)

    def _file(self, row: int, name: str) -> tuple[QProgressBar, QLabel]:
        words, bar, figures = _tiny(name, self), plain_bar("", self), _tiny("", self)
        figures.setAlignment(Qt.AlignmentFlag.AlignRight)
        bar.setAccessibleName(f"Progress of {name}")
        for column, widget in enumerate((words, bar, figures)):
            self._grid.addWidget(widget, row, column)
        return bar, figures


def plain_bar(name: str, parent: QWidget) -> QProgressBar:
    """A bar without words, in PARTS."""
    bar = QProgressBar(parent, objectName=name, textVisible=False)
    bar.setRange(0, PARTS)
    return bar


def _tiny(words: str, parent: QWidget) -> QLabel:
    label = QLabel(words, parent, textFormat=Qt.TextFormat.PlainText)
    label.setMinimumWidth(1)  # a long name gives way rather than widen the window
    label.setProperty("role", "tiny")
    return label

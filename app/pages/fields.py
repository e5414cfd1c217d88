"""Small pieces of forms: headings, small print, labelled fields, folds, boxes filled without a flicker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QComboBox, QGridLayout, QLabel, QToolButton, QWidget

from widgets.still import still

__all__ = ["FIELD", "Fold", "fill", "heading", "narrow", "quietly", "rows", "tiny"]

FIELD = 104


def heading(words: str) -> QLabel:
    """What stands above a part of a page."""
    label = QLabel(words)
    label.setProperty("role", "heading")
    return label


def tiny(name: str = "") -> QLabel:
    """A line or a few of small print."""
    label = QLabel(objectName=name, wordWrap=True, textFormat=Qt.TextFormat.PlainText)
    label.setProperty("role", "tiny")
    return label


def rows(fields: Mapping[str, QWidget], width: int = FIELD) -> QGridLayout:
    """A label and its field to a line; a field's tip is also its label's."""
    grid = QGridLayout()
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setHorizontalSpacing(4)
    grid.setVerticalSpacing(6)
    grid.setColumnStretch(0, 1)
    for row, (words, field) in enumerate(fields.items()):
        label = QLabel(words)
        label.setBuddy(field)
        label.setProperty("role", "dim")
        label.setToolTip(field.toolTip())
        field.setFixedWidth(width)
        grid.addWidget(label, row, 0)
        grid.addWidget(field, row, 1)
    return grid


def narrow(box: QComboBox) -> QComboBox:
    """Let a box be narrower than its longest entry, and let the wheel pass over it."""
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(4)
    return still(box)


def fill(box: QComboBox, items: list[tuple[str, str]], chosen: str) -> None:
    """Make ``box`` offer exactly ``items`` (words, value); nothing is touched when it already does."""
    with quietly(box):
        if [(box.itemText(i), box.itemData(i)) for i in range(box.count())] != items:
            box.clear()
            for words, value in items:
                box.addItem(words, value)
        box.setCurrentIndex(box.findData(chosen))


@contextmanager
def quietly(*widgets: QWidget) -> Iterator[None]:
    """Show values without saying that a person chose them."""
    for widget in widgets:
        widget.blockSignals(True)
    yield
    for widget in widgets:
        widget.blockSignals(False)


class Fold(QToolButton):
    """A button that unfolds ``inside``, wherever that stands. ``unfolded``: it has its place."""

    unfolded = Signal()

    def __init__(self, name: str, words: str, described: str, inside: QWidget) -> None:
        super().__init__(objectName=name, text=words, checkable=True, accessibleName=described)
        self.inside = inside
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setArrowType(Qt.ArrowType.RightArrow)
        self.toggled.connect(self._turn)
        inside.hide()

    def _turn(self, on: bool) -> None:
        self.inside.setVisible(on)
        self.setArrowType(Qt.ArrowType.DownArrow if on else Qt.ArrowType.RightArrow)
        if on:
            QTimer.singleShot(0, self, self.unfolded.emit)

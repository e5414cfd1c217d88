"""Small pieces of the router panel: headings, labelled fields, boxes filled without a flicker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from PySide6.QtWidgets import QComboBox, QGridLayout, QLabel, QWidget

__all__ = ["fill", "heading", "narrow", "quietly", "rows"]

FIELD = 80


def heading(words: str) -> QLabel:
    label = QLabel(words)
    label.setProperty("role", "heading")
    return label


def rows(fields: Mapping[str, QWidget]) -> QGridLayout:
    """A label and its field to a line; a field's tip is also its label's."""
    grid = QGridLayout()
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setHorizontalSpacing(8)
    grid.setVerticalSpacing(8)
    grid.setColumnStretch(0, 1)
    for row, (words, field) in enumerate(fields.items()):
        label = QLabel(words)
        label.setBuddy(field)
        label.setProperty("role", "dim")
        label.setToolTip(field.toolTip())
        field.setFixedWidth(FIELD)
        grid.addWidget(label, row, 0)
        grid.addWidget(field, row, 1)
    return grid


def narrow(box: QComboBox) -> QComboBox:
    """Let a box be narrower than its longest entry."""
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(4)
    return box


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

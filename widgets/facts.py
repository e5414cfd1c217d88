"""Pairs of a dim word and a selectable value, one under the other."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFormLayout, QLabel, QSizePolicy, QWidget

__all__ = ["Facts", "plain_label"]


class Facts(QWidget):
    """``fill`` shows values by their words; only what changed is touched, so that a selection stays."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setHorizontalSpacing(16)
        self._form.setVerticalSpacing(8)
        self._form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self._values: dict[str, QLabel] = {}

    def fill(self, facts: dict[str, str]) -> None:
        if list(facts) != list(self._values):
            while self._form.rowCount():
                self._form.removeRow(0)
            self._values = {word: plain_label(wrap=True) for word in facts}
            for word, value in self._values.items():
                value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
                dim = plain_label("dim")
                dim.setText(word)
                dim.setMinimumWidth(80)
                # A form centres a short label beside a tall field; this keeps it at the first line.
                dim.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
                dim.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.MinimumExpanding)
                self._form.addRow(dim, value)
        for word, text in facts.items():
            # A path has no spaces to break at: let it break after each slash.
            broken = text.replace("/", "/\u200b")
            if self._values[word].text() != broken:
                self._values[word].setText(broken)


def plain_label(role: str = "", *, wrap: bool = False) -> QLabel:
    """A label that takes every text for what it is, never for HTML."""
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(wrap)
    if role:
        label.setProperty("role", role)
    return label

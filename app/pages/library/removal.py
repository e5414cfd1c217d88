"""Before something goes on which other things depend: what they are, and what would become of them."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from app.presenters.keeping import Removal
from app.words import count
from widgets.facts import Facts, plain_label

__all__ = ["RemovalDialog", "SureDialog"]

WIDTH = 460
MOST = 12


class SureDialog(QDialog):
    """A sentence, and a verb to agree to: ``accepted`` when it was. Enter on its own changes nothing."""

    def __init__(self, name: str, title: str, words: str, verb: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        heading, said = plain_label("title", wrap=True), plain_label(wrap=True)
        heading.setText(title)
        said.setText(words)
        self.facts = Facts(self)
        buttons = QDialogButtonBox(self)
        agree, leave = QPushButton(verb, self), QPushButton("Leave it", self)
        for button, part in ((agree, "agree"), (leave, "leave")):
            button.setObjectName(f"{name}-{part}")
            button.setAccessibleName(button.text())
            buttons.addButton(button, QDialogButtonBox.ButtonRole.ActionRole)
        agree.clicked.connect(self.accept)
        leave.clicked.connect(self.reject)
        leave.setDefault(True)
        leave.setFocus()
        self.facts.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 16)
        column.setSpacing(12)
        for widget in (heading, said, self.facts, buttons):
            column.addWidget(widget)
        self.setFixedWidth(WIDTH)


class RemovalDialog(SureDialog):
    """``RemovalDialog(remove, removal, parent).open()``; agreed to, ``remove(name)`` is called."""

    def __init__(
        self, remove: Callable[[str], object], removal: Removal, parent: QWidget | None = None
    ) -> None:
        uses = removal.uses
        super().__init__("removal", f"Remove {removal.name}?", uses.sentence, "Remove", parent)
        found = {
            "Mixes": _listed(uses.mixes),
            "Jobs": count(len(uses.jobs), "job") if uses.jobs else "",
            "Adapters": _listed(uses.adapters),
        }
        self.facts.fill({word: value for word, value in found.items() if value})
        self.accepted.connect(lambda: remove(removal.name))


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MOST:,} more" if len(names) > MOST else ""
    return ", ".join(names[:MOST]) + more

"""Something that was dropped on the library: what it is and what would be done with it, before it is done."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from app.presenters.library import Guest, Library
from app.words import made_as, megabytes
from widgets.facts import Facts, plain_label
from widgets.verdict import Verdict

__all__ = ["GuestFacts"]

WORDS = {
    "ok": ("Can be imported as it is", "good"),
    "convert": ("Will be converted; what lies there stays as it is", "warn"),
    "refuse": ("Refused", "bad"),
}
VERBS = {"ok": "Import", "convert": "Convert and import"}


class GuestFacts(QWidget):
    """The verdict first, then the choice."""

    def __init__(self, library: Library, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._library = library
        self._title = plain_label("title", wrap=True)
        self._verdict = Verdict(self)
        self._reason = plain_label(wrap=True)
        self._base = Verdict(self)
        self._field = QLineEdit(self, objectName="guest-name", accessibleName="Name in the library")
        self._field.setMaxLength(64)
        self._label = plain_label("dim")
        self._label.setText("Name in the library")
        self._form = Facts(self)
        self._admit = QPushButton("Import", self, objectName="guest-admit")
        self._admit.setProperty("role", "primary")
        self._admit.clicked.connect(self._import)
        self._field.returnPressed.connect(self._import)
        self._leave = QPushButton("Leave it", self, objectName="guest-leave", accessibleName="Leave it")
        self._leave.clicked.connect(library.turn_away)
        self._path = ""
        verbs = QHBoxLayout()
        verbs.addWidget(self._admit)
        verbs.addWidget(self._leave)
        verbs.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 24)
        column.setSpacing(12)
        for widget in (self._title, self._verdict, self._reason, self._base, self._label, self._field):
            column.addWidget(widget)
        column.addLayout(verbs)
        column.addSpacing(8)
        column.addWidget(self._form)
        column.addStretch(1)

    def show_guest(self, guest: Guest, base: str, busy: bool) -> None:
        found = guest.inspection
        word, token = WORDS[found.verdict]
        welcome = found.verdict != "refuse"
        self._title.setText(f"Import {guest.name}?" if welcome else guest.name)
        self._verdict.say(token, word)
        self._reason.setText(found.reason)
        self._reason.setVisible(bool(found.reason))
        is_strange = bool(welcome and base and found.base and found.base != base)
        self._base.setVisible(is_strange)
        if is_strange:
            seen = f"Whether it fits {base} is seen once it is here."
            self._base.say("text_dim", f"It says that it was made for {found.base}. {seen}")
        if guest.path != self._path:
            self._path = guest.path
            self._field.setText(guest.name)
        for widget in (self._field, self._label, self._admit):
            widget.setVisible(welcome)
        self._admit.setText(VERBS.get(found.verdict, ""))
        self._admit.setAccessibleName(self._admit.text())
        self._admit.setEnabled(not busy)
        facts = {
            "Kind": made_as(found.kind),
            "Base": found.base or "not named",
            "Rank, alpha": f"{found.rank}, {found.alpha:g}",
            "Size": megabytes(found.bytes),
            "Tensors": f"{found.tensors:,}",
            "Targets": ", ".join(sorted(found.targets)),
        }
        self._form.fill((facts if found.tensors else {}) | {"Path": guest.path})

    def _import(self) -> None:
        if self._admit.isEnabled() and self._field.text().strip():
            self._library.admit(self._field.text().strip())

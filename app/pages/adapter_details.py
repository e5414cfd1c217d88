"""The pane beside the library: one adapter's facts and verbs, or a folder that asks to come in."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.models.adapters import Row, verdict
from app.presenters.library import Guest, Library, LibraryState
from app.words import count, megabytes
from widgets.facts import Facts, plain_label
from widgets.icon_button import WordButton
from widgets.verdict import Verdict

__all__ = ["AdapterDetails"]

GUEST_WORDS = {"ok": ("Fits", "good"), "convert": ("Will be converted", "warn"), "refuse": ("Refused", "bad")}


class AdapterDetails(QScrollArea):
    """Signals: ``wanted`` with an adapter's name: onto the desk with it."""

    wanted = Signal(str)

    def __init__(self, library: Library, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("adapter-details")
        self.setAccessibleName("Details of the adapter")
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._library = library
        self._facts = AdapterFacts(library, self)
        self._facts.wanted.connect(self.wanted)
        self._guest = GuestFacts(library, self)
        nobody = QLabel("Choose an adapter to see what it is.", self, alignment=Qt.AlignmentFlag.AlignCenter)
        nobody.setProperty("role", "dim")
        self._stack = QStackedWidget(self)
        for page in (nobody, self._facts, self._guest):
            self._stack.addWidget(page)
        self.setWidget(self._stack)

    def show_state(self, state: LibraryState) -> None:
        if state.guest is not None:
            self._guest.show_guest(state.guest, state.base, bool(state.busy))
            self._stack.setCurrentWidget(self._guest)
        elif state.card is not None:
            self._facts.show_row(Row(state.card, state.base, state.checked.get(state.chosen)), state)
            self._stack.setCurrentWidget(self._facts)
        else:
            self._stack.setCurrentIndex(0)


class AdapterFacts(QWidget):
    """What an adapter of the library is, and what can be done with it."""

    wanted = Signal(str)

    def __init__(self, library: Library, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._library = library
        self._name = plain_label("title", wrap=True)
        self._verdict = Verdict(self)
        self._description = plain_label(wrap=True)
        self._form = Facts(self)
        self._add = QPushButton("Add to desk", self, objectName="details-add")
        self._add.setAccessibleName("Add to desk")
        self._add.setProperty("role", "primary")
        self._add.clicked.connect(lambda: self.wanted.emit(library.state.chosen))
        self._verify = WordButton("verify", "Verify", "details-verify", self)
        self._verify.clicked.connect(lambda: library.verify(library.state.chosen))
        self._export = WordButton("export", "Export", "details-export", self)
        self._export.clicked.connect(self._choose_folder)
        self._remove = WordButton("trash", "Remove", "details-remove", self)
        self._remove.clicked.connect(lambda: library.remove(library.state.chosen))
        verbs = QHBoxLayout()
        verbs.setSpacing(8)
        for button in (self._verify, self._export, self._remove):
            verbs.addWidget(button)
        verbs.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 24)
        column.setSpacing(12)
        self._why = plain_label("tiny", wrap=True)
        self._why.setObjectName("details-why")
        for widget in (self._name, self._verdict, self._description, self._add, self._why):
            column.addWidget(widget)
        column.addLayout(verbs)
        column.addSpacing(8)
        column.addWidget(self._form)
        column.addStretch(1)

    def show_row(self, row: Row, state: LibraryState) -> None:
        card = row.card
        self._name.setText(card.name)
        word, token = verdict(row)
        why = ""
        if token == "warn":
            why = f"made for {card.base}"
        elif row.checked is not None:
            why = row.checked.detail.rstrip(".").lower()
        elif token == "good":
            why = f"made for {card.base}"
        self._verdict.say(token, f"{word}: {why}" if why else word)
        self._description.setText(card.description)
        self._description.setVisible(bool(card.description))
        self._form.fill(
            {
                "Base": card.base or "not named",
                "Kind": card.kind,
                "Rank, alpha": f"{card.rank}, {card.alpha:g}",
                "Size": megabytes(card.bytes),
                "Tensors": f"{card.tensors:,}",
                "Targets": ", ".join(sorted(card.targets)),
                "Licence": card.license or "not stated",
                "Source": card.source,
                "Files": "\n".join(f"{name}  {megabytes(size)}" for name, size in state.files)
                or "none found",
                "Folder": "part of the starter pack" if card.source == "starter" else card.path,
                "SHA-256": card.sha256[:16] + "…" if card.sha256 else "not taken",
            }
        )
        for button in (self._verify, self._export):
            button.setEnabled(not card.missing and not state.busy)
        is_strange = bool(state.base) and card.base != state.base
        self._add.setEnabled(not card.missing and not is_strange)
        self._why.setText(
            f"It cannot go onto the desk with {state.base}: it was made for "
            f"{card.base or 'an unnamed base'}. Choose that base at the top."
            if is_strange
            else ""
        )
        self._why.setVisible(is_strange)
        self._remove.setEnabled(not state.busy)

    def _choose_folder(self) -> None:
        name = self._library.state.chosen
        folder = QFileDialog.getExistingDirectory(self, f"Export {name} into which folder?")
        if folder:
            self._library.export(name, folder)


class GuestFacts(QWidget):
    """A folder that was dropped: the verdict first, then the choice."""

    def __init__(self, library: Library, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._library = library
        self._title = plain_label("title", wrap=True)
        self._verdict = Verdict(self)
        self._reason = plain_label(wrap=True)
        self._field = QLineEdit(self, objectName="guest-name", accessibleName="Name in the library")
        self._label = plain_label("dim")
        self._label.setText("Name in the library")
        self._form = Facts(self)
        self._admit = QPushButton("Import", self, objectName="guest-admit", accessibleName="Import")
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
        for widget in (self._title, self._verdict, self._reason, self._label, self._field):
            column.addWidget(widget)
        column.addLayout(verbs)
        column.addSpacing(8)
        column.addWidget(self._form)
        column.addStretch(1)

    def show_guest(self, guest: Guest, base: str, busy: bool) -> None:
        found = guest.inspection
        word, token = GUEST_WORDS[found.verdict]
        welcome = found.verdict != "refuse"
        self._title.setText(f"Import {guest.name}?" if welcome else guest.name)
        if welcome and base and found.base != base:
            word, token = f"Another base: made for {found.base or 'one it does not name'}", "warn"
        self._verdict.say(token, word)
        self._reason.setText(found.reason)
        self._reason.setVisible(bool(found.reason))
        if guest.path != self._path:
            self._path = guest.path
            self._field.setText(guest.name)
        for widget in (self._field, self._label, self._admit):
            widget.setVisible(welcome)
        self._admit.setEnabled(not busy)
        facts = {
            "Kind": found.kind,
            "Base": found.base or "not named",
            "Rank, alpha": f"{found.rank}, {found.alpha:g}",
            "Size": megabytes(found.bytes),
            "Tensors": count(found.tensors, "tensor"),
            "Targets": ", ".join(sorted(found.targets)),
        }
        self._form.fill((facts if found.tensors else {}) | {"Folder": guest.path})

    def _import(self) -> None:
        if self._admit.isEnabled() and self._field.text().strip():
            self._library.admit(self._field.text().strip())

"""The pane beside the adapters: one adapter's verdict, facts and verbs, and what the person says of it."""

from __future__ import annotations

from datetime import datetime

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.models.adapters import SOURCES, Row, verdict
from app.pages.library.guest import GuestFacts
from app.presenters.library import Library, LibraryState
from app.words import made_as, megabytes
from engine.messages import AdapterCard
from widgets.facts import Facts, plain_label
from widgets.flow import Flow
from widgets.icon_button import IconButton, WordButton
from widgets.name_field import NameField
from widgets.tag_row import NoteField, TagRow
from widgets.verdict import Verdict

__all__ = ["AdapterDetails"]


class AdapterDetails(QScrollArea):
    """Signals: ``wanted(name)``: onto the desk with it; ``ranks_wanted(name)``: slide its rank;
    ``hub_wanted(repo)``: show its page in Discover; ``publish_wanted(name)``."""

    wanted = Signal(str)
    ranks_wanted = Signal(str)
    hub_wanted = Signal(str)
    publish_wanted = Signal(str)

    def __init__(self, library: Library, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("adapter-details")
        self.setAccessibleName("Details of the adapter")
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._facts = AdapterFacts(library, self)
        for mine, its in (
            (self.wanted, self._facts.wanted),
            (self.ranks_wanted, self._facts.ranks_wanted),
            (self.hub_wanted, self._facts.hub_wanted),
            (self.publish_wanted, self._facts.publish_wanted),
        ):
            its.connect(mine)
        self._guest = GuestFacts(library, self)
        nobody = QLabel("Choose an adapter to see what it is.", self, alignment=Qt.AlignmentFlag.AlignCenter)
        nobody.setProperty("role", "dim")
        self._stack = QStackedWidget(self)
        for page in (nobody, self._facts, self._guest):
            self._stack.addWidget(page)
        self.setWidget(self._stack)

    @property
    def name(self) -> NameField:
        """Where the chosen adapter is called otherwise."""
        return self._facts.name

    def show_state(self, state: LibraryState) -> None:
        if state.guest is not None:
            self._guest.show_guest(state.guest, state.base, bool(state.busy))
            self._stack.setCurrentWidget(self._guest)
        elif state.card is not None:
            self._facts.show_state(state, state.card)
            self._stack.setCurrentWidget(self._facts)
        else:
            self._stack.setCurrentIndex(0)


class AdapterFacts(QWidget):
    """What an adapter of the library is, and what can be done with it."""

    wanted = Signal(str)
    ranks_wanted = Signal(str)
    hub_wanted = Signal(str)
    publish_wanted = Signal(str)

    def __init__(self, library: Library, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._library = library
        self._shown = ""
        self.name = NameField("details-name", "Name of the adapter", self)
        self.name.renamed.connect(lambda to: library.rename(self._shown, to))
        self._star = IconButton("star", "Favourite", "details-star", self)
        self._star.setCheckable(True)
        self._star.clicked.connect(lambda on: library.star(self._shown, on))
        self._verdict = Verdict(self)
        self._checked = Verdict(self)
        self._description = plain_label(wrap=True)
        self._newer = Verdict(self)
        self._update = WordButton("download", "Update", "details-update", self)
        self._update.clicked.connect(lambda: library.update(self._shown))
        self._form = Facts(self)
        self._tags = TagRow("details-tags", self)
        self._tags.changed.connect(lambda tags: library.tag(self._shown, tags))
        self._note = NoteField("details-note", "Note", self)
        self._note.written.connect(lambda text: library.note(self._shown, text))
        self._build_verbs()
        self._compose()

    def _build_verbs(self) -> None:
        library = self._library
        self._add = QPushButton("Add to desk", self, objectName="details-add", accessibleName="Add to desk")
        self._add.setProperty("role", "primary")
        self._add.clicked.connect(lambda: self.wanted.emit(self._shown))
        self._verbs: dict[str, WordButton] = {}
        for verb, drawing, words, act in (
            ("ranks", "ranks", "Slide its rank", lambda: self.ranks_wanted.emit(self._shown)),
            ("verify", "verify", "Verify", lambda: library.verify(self._shown)),
            ("export", "export", "Export", self._choose_folder),
            ("publish", "external", "Publish", lambda: self.publish_wanted.emit(self._shown)),
            ("provenance", "info", "Provenance", lambda: library.trace(self._shown)),
            ("hub", "discover", "Hub", self._show_on_hub),
            ("remove", "trash", "Remove", lambda: library.remove(self._shown)),
        ):
            button = self._verbs[verb] = WordButton(drawing, words, f"details-{verb}", self)
            button.clicked.connect(lambda _=False, act=act: act())
        self._verbs["hub"].setAccessibleName("Show its page on the Hub")
        self._verbs["hub"].setToolTip("Show its page on the Hub")

    def _compose(self) -> None:
        head = QHBoxLayout()
        head.addWidget(self.name, 1)
        head.addWidget(self._star)
        news = QHBoxLayout()
        news.addWidget(self._newer, 1)
        news.addWidget(self._update)
        row = QWidget(self)
        verbs = Flow(8, row)
        for button in self._verbs.values():
            verbs.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 20, 24, 24)
        column.setSpacing(12)
        column.addLayout(head)
        for widget in (self._verdict, self._checked, self._description):
            column.addWidget(widget)
        column.addLayout(news)
        for widget in (self._add, row, self._tags, self._note, self._form):
            column.addWidget(widget)
        column.addStretch(1)

    def show_state(self, state: LibraryState, card: AdapterCard) -> None:
        if card.name != self._shown:
            self._note.keep()  # what was written about the one before is about that one
            self._shown = card.name
        self.name.show_name(card.name)
        self._star.setChecked(card.favourite)
        self._star.draw("starred" if card.favourite else "star", "accent" if card.favourite else "text")
        self._show_verdict(Row(card, state.base, state.fits.get(card.name), state.checked.get(card.name)))
        self._description.setText(card.description)
        self._description.setVisible(bool(card.description))
        is_coming = bool(card.repo) and self._library.downloads.of(card.repo) is not None
        for widget in (self._newer, self._update):
            widget.setVisible(bool(card.newer))
        words = "A newer revision is being downloaded" if is_coming else "A newer revision is on the Hub"
        self._newer.say("accent", f"{words}: {card.newer[:12]}", "up")
        self._update.setEnabled(not is_coming)
        self._tags.show_tags(card.tags)
        self._note.show_note(card.note)
        self._form.fill(_facts(card, state))
        self._show_verbs(state, card)

    def _show_verdict(self, row: Row) -> None:
        word, token = verdict(row)
        if row.card.missing or not row.base:
            why = "Its files are not where they were." if row.card.missing else "choose a base at the top"
        else:
            why = row.fit.reason if row.fit else ""
        fit_word = word if row.checked is None or row.checked.ok else ""
        self._verdict.setVisible(bool(fit_word))
        self._verdict.say(token, f"{word}: {why}" if why else word)
        self._checked.setVisible(row.checked is not None)
        if row.checked is not None:
            words = "Verified" if row.checked.ok else "Not well"
            self._checked.say("good" if row.checked.ok else "bad", f"{words}: {row.checked.detail}")

    def _show_verbs(self, state: LibraryState, card: AdapterCard) -> None:
        fit = state.fits.get(card.name)
        is_red = fit is not None and fit.verdict == "red"
        self._add.setEnabled(not card.missing and not is_red)
        self._add.setToolTip(fit.reason if is_red and fit else "")
        self._verbs["ranks"].setEnabled(self._add.isEnabled())
        idle = not state.busy
        for verb in ("verify", "export", "publish"):
            self._verbs[verb].setEnabled(idle and not card.missing)
        self._verbs["remove"].setEnabled(idle)
        self._verbs["hub"].setVisible(bool(card.repo))

    def _show_on_hub(self) -> None:
        card = self._library.state.card
        if card is not None:
            self.hub_wanted.emit(card.repo)

    def _choose_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, f"Export {self._shown} into which folder?")
        if folder:
            self._library.export(self._shown, folder)


def _facts(card: AdapterCard, state: LibraryState) -> dict[str, str]:
    when = datetime.fromtimestamp(card.added).strftime("%d %b %Y, %H:%M") if card.added else ""
    source = SOURCES[card.source]
    rank = f"{card.low} to {card.rank}" if card.kind == "dylora" else f"{card.rank}"
    files = "\n".join(f"{name}  {megabytes(size)}" for name, size in state.files) or "none found"
    return {
        "Base": card.base or "not named",
        "Kind": made_as(card.kind),
        "Rank, alpha": f"{rank}, {card.alpha:g}",
        "Size": megabytes(card.bytes),
        "Tensors": f"{card.tensors:,}",
        "Targets": ", ".join(sorted(card.targets)),
        "Licence": card.license or "not stated",
        "Source": f"{source}, {when}" if when else source,
        **({"Repository": f"{card.repo} at {card.commit[:12]}"} if card.repo else {}),
        **({"Converted": f"from {card.converted}"} if card.converted else {}),
        "Files": files,
        "Folder": "part of the starter pack" if card.source == "starter" else card.path,
        "SHA-256": card.sha256[:16] + "…" if card.sha256 else "not taken",
    }

"""The pane beside the list: one repository's verdict in full, facts, card, files, and how to take it."""

from __future__ import annotations

from datetime import datetime

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from app.models.hub import known_as
from app.pages.discover.taking import Taking
from app.presenters.discover import Discover
from app.presenters.repository import RepositoryState
from app.words import count, made_as, many, megabytes
from engine.messages import Error, HubRepo, HubVerdict
from widgets.choice import Choice
from widgets.facts import Facts, plain_label
from widgets.icon_button import IconButton, WordButton
from widgets.markdown_view import MarkdownView
from widgets.open_link import OpenLink, open_page
from widgets.verdict import Verdict

__all__ = ["Details"]

VIEWS = {
    "facts": ("Facts", "What is known of it"),
    "card": ("Card", "What its author says"),
    "files": ("Files", "What lies in it, and what would be fetched"),
}
NO_CARD = "*The author has written no card.*"


class Details(QWidget):
    """Signals: ``base_wanted(repo)``: list its adapters; ``sign_in_wanted``: it is shown to members only."""

    base_wanted = Signal(str)
    sign_in_wanted = Signal()

    def __init__(self, discover: Discover, taking: Taking, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("discover-details")
        self.setAccessibleName("Details of the repository")
        self._discover = discover
        self.taking = taking
        self._title = plain_label("title", wrap=True)
        self._owner = plain_label("dim")
        self._verdict = Verdict(self)
        self._trouble = Verdict(self)
        self._hub = IconButton("external", "Open on the Hub", "discover-open", self)
        self._hub.clicked.connect(lambda: open_page(self._address))
        self._adapters = WordButton("search", "Find its adapters", "discover-base-adapters", self)
        self._adapters.clicked.connect(self._want_adapters)
        self._sign_in = WordButton("key", "Sign in", "discover-details-sign-in", self)
        self._sign_in.clicked.connect(self.sign_in_wanted)
        self._retry = WordButton("retry", "Try again", "discover-details-retry", self)
        self._retry.clicked.connect(discover.repository.retry)
        self._address = ""
        self._views = Choice("discover-view", "Part of the details", VIEWS, role="view")
        self._facts = Facts(self)
        self._card = MarkdownView("discover-card", "Model card", self)
        self._card.link.connect(self._ask_before_opening)
        self._files = QScrollArea(self, widgetResizable=True, objectName="discover-files")
        self._files.setAccessibleName("Files of the repository")
        self._files.setWidget(FileList(self))
        self._compose()
        self._views.chosen.connect(self._show_view)
        discover.repository.changed.connect(self._show_state)
        discover.verdicts.came.connect(self._judged)
        discover.verdicts.forgotten.connect(self._show_state)
        self._show_state()

    def _show_state(self) -> None:
        state = self._discover.repository.state
        repo = state.repo
        is_nobody = repo is None and state.problem is None and not state.is_looking
        self._stack.setCurrentIndex(0 if is_nobody else 1)
        self._show_head(state)
        self._show_trouble(state)
        self.taking.show_state(state)
        for widget in (self._views, self._parts):
            widget.setVisible(repo is not None)
        if repo is None:
            return
        details = state.details
        verdict = self._known(repo.repo)
        self._facts.fill(_facts(repo, verdict if isinstance(verdict, HubVerdict) else None, state))
        self._card.show_markdown((details.card or NO_CARD) if details else "")
        self._files.widget().show_files(state)

    def _show_head(self, state: RepositoryState) -> None:
        repo = state.repo
        owner, _, name = repo.repo.rpartition("/") if repo else ("", "", "")
        self._title.setText(name or ("Looking" if state.is_looking else "Not found"))
        self._owner.setText(owner)
        self._owner.setVisible(bool(owner))
        known = self._known(repo.repo) if repo else None
        word, token = known_as(known, state.room)
        reason = known.message if isinstance(known, Error) else known.fit.reason if known else ""
        self._verdict.say(token, f"{word}: {reason}" if reason else word)
        self._verdict.setVisible(repo is not None)
        self._address = state.details.address if state.details else ""
        self._hub.setVisible(bool(self._address))
        self._hub.setToolTip(f"Open {self._address}")
        self._adapters.setVisible(state.room == "bases" and repo is not None)

    def _known(self, repo: str) -> HubVerdict | Error | None:
        """The verdict of the revision that is looked at; of the list's own, where that is not known."""
        details = self._discover.repository.state.details
        if details is not None and details.verdict is not None and details.repo.repo == repo:
            return details.verdict
        return self._discover.verdicts.known.get(repo)

    def _show_trouble(self, state: RepositoryState) -> None:
        problem = state.problem
        self._trouble.setVisible(problem is not None)
        self._retry.setVisible(problem is not None)
        self._sign_in.setVisible(problem is not None and problem.code in ("sign-in", "gated"))
        if problem is not None:
            self._trouble.say("warn", f"{problem.message} {problem.hint}".strip())

    def _judged(self, repo: str) -> None:
        state = self._discover.repository.state
        if state.repo is not None and state.repo.repo == repo:
            self._show_state()

    def _show_view(self, name: str) -> None:
        self._parts.setCurrentIndex(list(VIEWS).index(name))

    def _want_adapters(self) -> None:
        repo = self._discover.repository.state.repo
        if repo is not None:
            self.base_wanted.emit(repo.have or repo.repo)

    def _ask_before_opening(self, address: str) -> None:
        page = QUrl(self._address + "/blob/main/")
        OpenLink(page.resolved(QUrl(address)).toString(), self).open()

    def _compose(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        for button in (self._sign_in, self._retry, self._adapters):
            buttons.addWidget(button)
        buttons.addStretch(1)
        facts = QScrollArea(self, widgetResizable=True, objectName="discover-facts")
        facts.setAccessibleName("Facts of the repository")
        facts.setWidget(_at_the_top(self._facts))
        self._parts = QStackedWidget(self)
        for part in (facts, self._card, self._files):
            self._parts.addWidget(part)
        sheet = QWidget(self)
        column = QVBoxLayout(sheet)
        column.setContentsMargins(16, 16, 16, 8)
        column.setSpacing(10)
        head = QHBoxLayout()
        head.addWidget(self._title, 1)
        head.addWidget(self._hub, 0, Qt.AlignmentFlag.AlignTop)
        column.addLayout(head)
        for widget in (self._owner, self._verdict, self._trouble, self.taking):
            column.addWidget(widget)
        column.addLayout(buttons)
        column.addWidget(self._views)
        column.addWidget(self._parts, 1)
        column.addStretch(0)
        nobody = QLabel("Choose a card to see what it is.", self)
        nobody.setProperty("role", "dim")
        empty = QWidget(self)
        middle = QVBoxLayout(empty)
        middle.setContentsMargins(16, 24, 16, 8)
        middle.addWidget(nobody)
        middle.addStretch(1)
        self._stack = QStackedWidget(self)
        self._stack.addWidget(empty)
        self._stack.addWidget(sheet)
        page = QVBoxLayout(self)
        page.setContentsMargins(0, 0, 0, 0)
        page.addWidget(self._stack)


class FileList(QWidget):
    """Every file with its size: those that would be fetched first, then the others and why they stay away."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 8, 0)
        self._column.setSpacing(6)
        self._shown: tuple[object, ...] | None = None

    def show_files(self, state: RepositoryState) -> None:
        files = tuple(state.details.files) if state.details else ()
        if files == self._shown:
            return
        self._shown = files
        while entry := self._column.takeAt(0):
            if entry.widget() is not None:
                entry.widget().deleteLater()
        for file in sorted(files, key=lambda file: not file.wanted)[:MOST_FILES]:
            row = Verdict(self, quiet=True)
            note = file.note or ("will be fetched" if file.wanted else "stays there")
            row.say(
                "good" if file.wanted else "text_dim",
                f"{file.name}   {megabytes(file.size)}\n{note}",
                "download" if file.wanted else "file",
            )
            self._column.addWidget(row)
        if len(files) > MOST_FILES:
            more = plain_label("tiny")
            more.setText(f"and {len(files) - MOST_FILES:,} more")
            self._column.addWidget(more)
        self._column.addStretch(1)


MOST_FILES = 200


def _facts(repo: HubRepo, verdict: HubVerdict | None, state: RepositoryState) -> dict[str, str]:
    rank = (verdict.rank if verdict else 0) or repo.rank or 0
    nested = verdict is not None and verdict.kind == "dylora"
    said = f"{verdict.low} to {rank}" if verdict and nested else f"{rank}"
    size = state.bytes or (verdict.size if verdict else 0) or repo.size or 0
    parameters = (verdict.parameters if verdict else 0) or repo.parameters or 0
    details = state.details
    facts = {
        "Base": (verdict.base if verdict else "") or repo.base,
        "Kind": made_as(verdict.kind) if verdict else "",
        "Rank, alpha": f"{said}, {verdict.alpha:g}" if verdict and rank else said if rank else "",
        "Targets": ", ".join(sorted(verdict.targets)) if verdict else "",
        "Parameters": many(parameters) if parameters and state.room == "bases" else "",
        "Size": megabytes(size) if size else "",
        "Task": repo.task,
        "Licence": repo.license or "not stated",
        "Access": "gated: its owner decides who may have it" if repo.gated else "",
        "Security": details.security if details else "",
        "Changed": datetime.fromtimestamp(repo.modified).strftime("%d %b %Y") if repo.modified else "",
        "Popularity": f"{count(repo.downloads, 'download')}, {count(repo.likes, 'like')}"
        if repo.downloads or repo.likes
        else "",
        "Commit": details.commit[:12] if details else "",
        "Tags": ", ".join(repo.tags[:24]),
    }
    return {word: value for word, value in facts.items() if value}


def _at_the_top(widget: QWidget) -> QWidget:
    """A form spreads its rows over all the room there is, unless something below takes it."""
    holder = QWidget()
    column = QVBoxLayout(holder)
    column.setContentsMargins(0, 0, 8, 0)
    column.addWidget(widget)
    column.addStretch(1)
    return holder

"""How to take what is looked at: name, revision, how much would be fetched, and what is in the way."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from app.models.downloads import face
from app.presenters.downloads import Downloads, Fetch
from app.presenters.repository import Repository, RepositoryState
from app.words import count, megabytes
from widgets.facts import plain_label
from widgets.icon_button import WordButton
from widgets.open_link import open_page
from widgets.still import still
from widgets.verdict import Verdict

__all__ = ["Taking"]


class Taking(QWidget):
    """Signals: ``desk_wanted(name)``; ``shown_in_library(room, name)``; ``base_chosen(name)``; ``taken`` when
    a download was begun.
    """

    desk_wanted = Signal(str)
    shown_in_library = Signal(str, str)
    base_chosen = Signal(str)
    taken = Signal()

    def __init__(self, repository: Repository, downloads: Downloads, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._repository = repository
        self._downloads = downloads
        self._pointed_at = ""  # the repository that was wanted though it is not here
        self._is_calling = False  # ... and the keyboard still is where it was wanted from
        self._here = Verdict(self)
        self._hint = Verdict(self)
        self._hint.setObjectName("discover-hint")
        self._ask = WordButton("external", "Ask for access", "discover-gate", self)
        self._ask.clicked.connect(self._open_gate)
        self._name = QLineEdit(self, objectName="discover-name")
        self._name.setAccessibleName("Name in the library")
        self._name.setToolTip("Its name in the library")
        self._name.textEdited.connect(repository.call_it)
        self._name.returnPressed.connect(self.take)
        self._revision = still(QComboBox(self, objectName="discover-revision"))
        self._revision.setAccessibleName("Revision")
        self._revision.setToolTip("Branch, tag or commit")
        self._revision.setMinimumContentsLength(8)
        self._revision.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._revision.currentTextChanged.connect(repository.use_revision)
        self._button = QPushButton("Download", self, objectName="discover-download")
        self._button.setProperty("role", "primary")
        self._button.setAutoDefault(True)  # Enter presses it too: it is where Enter on a card leads
        self._button.clicked.connect(self.take)
        self._desk = WordButton("mixer", "Put on the desk", "discover-desk", self)
        self._desk.clicked.connect(self._put)
        self._show = WordButton("library", "Show in library", "discover-library", self)
        self._show.clicked.connect(self._show_it)
        self._cost = plain_label("tiny", wrap=True)
        self._uses = plain_label("tiny", wrap=True)
        self._compose()
        downloads.changed.connect(lambda: self.show_state(repository.state))

    def show_state(self, state: RepositoryState) -> None:
        repo = state.repo
        self.setVisible(repo is not None)
        if repo is None:
            return
        running = self._downloads.of(repo.repo)
        if running is not None or repo.have or repo.repo != self._pointed_at:
            self._pointed_at = ""
        self._show_here(state)
        self._show_gate(state)
        self._show_revisions(state)
        if self._name.text().strip() != state.name:
            self._name.setText(state.name)
        can_take = bool(state.wanted) and "/" in repo.repo
        for widget in (self._name, self._revision, self._button):
            widget.setVisible(can_take and running is None and not state.is_here)
        self._button.setText(_verb(state))
        self._button.setAccessibleName(f"{_verb(state)} {repo.repo}")
        self._button.setEnabled(bool(state.name) and state.has_room)
        self._cost.setText(_course(running) if running else _cost(state))
        self._cost.setVisible(running is not None or (can_take and not state.is_here))
        self._uses.setText(state.uses)
        self._uses.setVisible(state.is_replacement and bool(state.uses) and not state.is_here)
        self._hint.setVisible(can_take and bool(self._pointed_at))
        if can_take and self._pointed_at and self._is_calling:
            self._is_calling = False
            self._button.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def point_out(self) -> None:
        """What is looked at was wanted and is not here: say so, and let one more Enter fetch it."""
        state = self._repository.state
        if state.repo is not None:
            self._pointed_at, self._is_calling = state.repo.repo, True
            then = " Then it goes onto the desk." if state.room == "adapters" else ""
            self._hint.say("accent", f"It has to be downloaded first.{then}")
            self.show_state(state)

    def take(self) -> None:
        """Fetch what is looked at."""
        state = self._repository.state
        if state.repo is not None and self._button.isEnabled() and self._button.isVisible():
            revision = state.revision
            self._downloads.start(
                state.repo.repo,
                state.name,
                state.room,
                revision,
                replace=state.is_replacement,
                for_desk=bool(self._pointed_at) and state.room == "adapters",
            )
            self._pointed_at = ""
            self.taken.emit()

    def _show_here(self, state: RepositoryState) -> None:
        repo = state.repo
        have = repo.have if repo else ""
        self._here.setVisible(bool(have))
        self._desk.setVisible(bool(have))
        self._desk.setText("Put on the desk" if state.room == "adapters" else "Use this base")
        self._desk.setAccessibleName(self._desk.text())
        self._show.setVisible(bool(have))
        if have:
            older = "" if state.is_here else ", another revision of it"
            self._here.say("accent", f"In the library as {have}{older}", "library")

    def _show_gate(self, state: RepositoryState) -> None:
        """The verdict says what is closed and what to do; here is the button for it."""
        details = state.details
        is_open = details is None or (details.verdict is not None and details.verdict.fit.verdict == "green")
        self._ask.setVisible(bool(state.repo and state.repo.gated and not state.repo.have and not is_open))

    def _show_revisions(self, state: RepositoryState) -> None:
        names = [revision.name for revision in state.details.revisions] if state.details else []
        if state.revision not in names:
            names.insert(0, state.revision)
        with QSignalBlocker(self._revision):
            if [self._revision.itemText(i) for i in range(self._revision.count())] != names:
                self._revision.clear()
                self._revision.addItems(names)
            self._revision.setCurrentText(state.revision)

    def _put(self) -> None:
        repo, room = self._repository.state.repo, self._repository.state.room
        if repo is not None:
            (self.desk_wanted if room == "adapters" else self.base_chosen).emit(repo.have)

    def _show_it(self) -> None:
        state = self._repository.state
        if state.repo is not None:
            self.shown_in_library.emit(state.room, state.repo.have)

    def _open_gate(self) -> None:
        details = self._repository.state.details
        if details is not None:
            open_page(details.address)

    def _compose(self) -> None:
        first = QHBoxLayout()
        first.setSpacing(8)
        first.addWidget(self._name, 3)
        first.addWidget(self._revision, 2)
        verbs = QHBoxLayout()
        verbs.setSpacing(8)
        for button in (self._button, self._desk, self._show, self._ask):
            verbs.addWidget(button)
        verbs.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        for part in (self._here, self._hint, first, self._uses, verbs, self._cost):
            column.addWidget(part) if isinstance(part, QWidget) else column.addLayout(part)


def _verb(state: RepositoryState) -> str:
    size = f"  {megabytes(state.bytes)}" if state.bytes else ""
    return f"Replace {state.name}{size}" if state.is_replacement else f"Download{size}"


def _course(fetch: Fetch) -> str:
    shown = face(fetch)
    return f"{shown.words.rstrip('.')}   {shown.figures}" if fetch.job.state == "running" else shown.words


def _cost(state: RepositoryState) -> str:
    details = state.details
    if details is None:
        return ""
    files = count(len(state.wanted), "file")
    of = f" of {len(details.files):,}" if len(details.files) != len(state.wanted) else ""
    room = ""
    if state.free is not None:
        left = megabytes(state.free)
        room = f"; {left} are free" if state.has_room else f"; that is more than the {left} that are free"
    return f"{files}{of}, {megabytes(state.bytes)}{room}"

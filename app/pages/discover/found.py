"""The list of what was found: cards, what is in the way of more of them, and why there may be none."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPoint, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from app.models.hub import Hub, HubFilter, HubRoles
from app.pages.discover.tools import Tools
from app.presenters.discover import Discover
from app.presenters.search import Found
from engine.messages import HubRepo
from widgets.card_list import CardList
from widgets.empty import Empty
from widgets.icon_button import WordButton
from widgets.verdict import Verdict

__all__ = ["FoundList"]

# Heights of the list that are left when the next part is asked for.
EARLY = 1.0


class FoundList(QWidget):
    """Signals: ``opened(repo)`` by Enter or two clicks; ``lifted(repo)`` when a card begins to be dragged;
    ``menu_wanted(repo, place)``, a HubRepo and a place on the screen; ``sign_in_wanted``."""

    opened = Signal(object)
    lifted = Signal(object)
    menu_wanted = Signal(object, QPoint)
    sign_in_wanted = Signal()

    def __init__(self, discover: Discover, tools: Tools, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._discover = discover
        self._tools = tools
        self.hub = Hub(discover.verdicts.known, self)
        self.shown = HubFilter(self.hub, self)
        self.cards = CardList(HubRoles.FACE, "discover-cards", "Found on the Hub", self)
        self.cards.setModel(self.shown)
        self.cards.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self._none = Empty("search", "Nothing found", "", "Show everything", "discover-none", self)
        self._stack = QStackedWidget(self)
        self._stack.addWidget(self.cards)
        self._stack.addWidget(self._none)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self._trouble_bar())
        column.addWidget(self._stack, 1)
        self._connect()
        self._show_state()
        self._show_found()

    def repo(self, index: QModelIndex) -> HubRepo | None:
        """The repository of a card, None where there is none or a ghost."""
        return index.data(HubRoles.REPO) if index.isValid() else None

    def _trouble_bar(self) -> QWidget:
        self._trouble = QWidget(self)
        self._words = Verdict(self._trouble)
        self._words.setObjectName("discover-trouble")
        self._retry = WordButton("retry", "Try again", "discover-retry", self._trouble)
        self._sign_in = WordButton("key", "Sign in", "discover-sign-in", self._trouble)
        self._further = QPushButton("Look further", self._trouble, objectName="discover-further")
        self._further.setAccessibleName("Look further")
        row = QHBoxLayout(self._trouble)
        row.setContentsMargins(8, 0, 8, 0)
        row.setSpacing(8)
        row.addWidget(self._words, 1)
        for button in (self._retry, self._sign_in, self._further):
            row.addWidget(button)
        return self._trouble

    def _connect(self) -> None:
        discover = self._discover
        discover.changed.connect(self._show_state)
        discover.search.changed.connect(self._show_found)
        discover.verdicts.came.connect(self.hub.judged)
        discover.verdicts.forgotten.connect(self._forget_verdicts)
        self._tools.ranged.connect(self._narrow)
        self._tools.show_hidden.connect(self._show_hidden)
        self._none.pressed.connect(self._show_everything)
        self._retry.clicked.connect(discover.retry)
        self._further.clicked.connect(discover.search.more)
        self._sign_in.clicked.connect(self.sign_in_wanted)
        self.hub.wanted.connect(discover.search.more)
        self.cards.in_sight.connect(self._see)
        self.cards.verticalScrollBar().valueChanged.connect(self._look_ahead)
        self.cards.selectionModel().currentChanged.connect(self._chosen)
        self.cards.activated.connect(lambda index: self._pass_on(self.opened, index))
        self.cards.lifted.connect(lambda index: self._pass_on(self.lifted, index))
        self.cards.customContextMenuRequested.connect(self._ask_for_menu)

    # --- following the presenter ---

    def _show_state(self) -> None:
        state = self._discover.state
        self.hub.room = state.query.room
        self._point_at(state.chosen)

    def _show_found(self) -> None:
        found = self._discover.search.found
        self.hub.show(found.repos)
        is_going_on = found.phase == "open" and found.problem is None
        self.hub.await_more(is_going_on or found.phase in ("looking", "more"))
        if found.phase == "looking":
            self.cards.scrollToTop()
        self._show_trouble(found)
        self._count()
        self._point_at(self._discover.state.chosen)

    def _show_trouble(self, found: Found) -> None:
        problem = found.problem
        self._trouble.setVisible(problem is not None or found.phase == "tired")
        self._retry.setVisible(problem is not None)
        self._further.setVisible(problem is None and found.phase == "tired")
        self._sign_in.setVisible(problem is not None and problem.code in ("sign-in", "gated"))
        if problem is not None:
            home = " This is what the library has of it." if found.is_library and found.repos else ""
            words = f"{problem.message} {problem.hint}".strip()
            self._words.say("warn", f"{words}{home}", "offline" if problem.code == "offline" else "")
        elif found.phase == "tired":
            self._words.say("text_dim", f"A long stretch of the list is hidden: {found.hidden:,} so far.")

    def _count(self) -> None:
        found, local = self._discover.search.found, self.shown.hidden
        self._tools.tell(len(self.hub.items) - local, found.next is not None, found.hidden + local)
        is_empty = not self.shown.rowCount() and found.phase in ("whole", "tired", "open")
        if is_empty:
            self._none.say(*self._why_nothing(found))
            can_widen = self._tools.is_narrowed or bool(self._discover.state.query.text)
            self._none.button.setVisible(can_widen and found.problem is None)
        self._stack.setCurrentWidget(self._none if is_empty else self.cards)
        self.cards.look_again()

    def _why_nothing(self, found: Found) -> tuple[str, str]:
        if found.problem is not None:
            return "Nothing to show", "The library has nothing that matches the search."
        query = self._discover.state.query
        what = "adapter" if query.room == "adapters" else "base model"
        of = f" for {query.base}" if query.base else ""
        return "Nothing found", f"The Hub has no {what}{of} that matches the search and the filters."

    def _point_at(self, repo: str) -> None:
        row = self.hub.row_of(repo)
        index = self.shown.mapFromSource(self.hub.index(row)) if row >= 0 else QModelIndex()
        if index.isValid() and index != self.cards.currentIndex():
            self.cards.setCurrentIndex(index)
            self.cards.scrollTo(index)

    def _forget_verdicts(self) -> None:
        self.hub.judge_by(self._discover.verdicts.known)
        self.cards.look_again()

    # --- acting ---

    def _see(self, first: int, last: int) -> None:
        repos = [self.repo(self.shown.index(row, 0)) for row in range(first, last + 1)]
        self._discover.see([repo.repo for repo in repos if repo is not None])

    def _look_ahead(self, value: int) -> None:
        bar = self.cards.verticalScrollBar()
        if self._discover.search.found.phase == "open" and value > bar.maximum() - EARLY * bar.pageStep():
            self._discover.search.more()

    def _chosen(self, index: QModelIndex) -> None:
        repo = self.repo(index)
        if repo is not None:
            self._discover.choose(repo.repo)

    def _pass_on(self, signal: Signal, index: QModelIndex) -> None:
        repo = self.repo(index)
        if repo is not None:
            signal.emit(repo)

    def _ask_for_menu(self, place: QPoint) -> None:
        repo = self.repo(self.cards.indexAt(place))
        if repo is not None:
            self.menu_wanted.emit(repo, self.cards.viewport().mapToGlobal(place))

    def _narrow(self, rank: object, size: object) -> None:
        self.shown.narrow(rank, size)
        self._count()

    def _show_hidden(self) -> None:
        self._tools.show_all()
        if self._discover.search.found.hidden:
            self._discover.show_hidden()

    def _show_everything(self) -> None:
        self._tools.show_all()
        self._discover.clear()

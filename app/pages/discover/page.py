"""The page Discover: search and filters, cards that go on and on, details beside them, downloads below."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QSettings, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QMenu, QSplitter, QVBoxLayout, QWidget

from app.client import Client
from app.pages.discover.details import Details
from app.pages.discover.found import FoundList
from app.pages.discover.strip import Strip
from app.pages.discover.taking import Taking
from app.pages.discover.tools import Tools
from app.pages.page import Page
from app.pages.sign_in import AccountButton
from app.presenters.account import Account
from app.presenters.discover import Discover
from app.presenters.downloads import Downloads
from app.presenters.notice import Notice
from app.presenters.repository import name_for
from engine.messages import HubRepo
from widgets.choice import Choice

__all__ = ["DiscoverPage"]

ROOMS = {
    "adapters": ("Adapters", "Small files that teach a base one thing"),
    "bases": ("Base models", "What adapters are made for"),
}


class DiscoverPage(Page):
    """Signals: ``wanted(name)``: an adapter of the library onto the desk; ``shown_in_library(room, name)``;
    ``base_chosen(name)``: the window is to use this base."""

    wanted = Signal(str)
    shown_in_library = Signal(str, str)
    base_chosen = Signal(str)

    def __init__(
        self,
        client: Client,
        downloads: Downloads,
        account: Account,
        store: QSettings,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__("discover", "Discover", parent)
        self.discover = Discover(client, store, self)
        self.account = account
        self.downloads = downloads
        self._build()
        self._connect()
        self._offer_actions()
        self._show_state()
        self._show_account()
        self._show_line()

    def regions(self) -> list[QWidget]:
        return [self.tools, self.cards, self.details, self.strip, self.head]

    def use_base(self, base: str) -> None:
        self.discover.use_base(base)

    def fetch_for_desk(self, repo: str) -> None:
        """Download an adapter that is to go onto the desk when it has come."""
        if self.downloads.of(repo) is None:
            self.downloads.start(repo, name_for(repo), "adapters", for_desk=True)
        words = f"{name_for(repo)} is being downloaded; it goes onto the desk when it is here."
        self.noticed.emit(Notice("info", words))

    # --- building ---

    def _build(self) -> None:
        self.head = self._head()
        self.tools = Tools(self.discover, self)
        self.found = FoundList(self.discover, self.tools, self)
        self.cards = self.found.cards
        self.taking = Taking(self.discover.repository, self.downloads, self)
        self.details = Details(self.discover, self.taking, self)
        self.strip = Strip(self.downloads, self)
        left = QWidget(self)
        column = QVBoxLayout(left)
        column.setContentsMargins(16, 16, 8, 0)
        column.setSpacing(8)
        column.addWidget(self.tools)
        column.addWidget(self.found, 1)
        splitter = QSplitter(Qt.Orientation.Horizontal, self, objectName="discover-splitter")
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(left)
        splitter.addWidget(self.details)
        splitter.setStretchFactor(0, 1)
        splitter.setSizes([836, 388])
        left.setMinimumWidth(480)
        self.details.setMinimumWidth(340)
        self._line = QFrame(self)
        self._line.setProperty("role", "line")
        page = QVBoxLayout(self)
        page.setContentsMargins(0, 0, 0, 0)
        page.setSpacing(0)
        page.addWidget(splitter, 1)
        page.addWidget(self._line)
        page.addWidget(self.strip)

    def _head(self) -> QWidget:
        head = QWidget(self)
        self._room = Choice("discover-room", "What to look for", ROOMS, role="view")
        self._account = AccountButton(self.account, "discover-account", head)
        self._mirror = QLabel(head, objectName="discover-mirror", textFormat=Qt.TextFormat.PlainText)
        self._mirror.setProperty("role", "tiny")
        row = QHBoxLayout(head)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(16)
        for widget in (self._room, self._account, self._mirror):
            row.addWidget(widget)
        return head

    def _connect(self) -> None:
        discover, found = self.discover, self.found
        discover.changed.connect(self._show_state)
        self.account.changed.connect(self._show_account)
        self.account.signed_in.connect(discover.look_anew)
        self.account.signed_out.connect(discover.look_anew)
        self.downloads.changed.connect(self._show_line)
        self._room.chosen.connect(discover.enter)
        found.opened.connect(self._open)
        found.lifted.connect(self._warn_of_absence)
        found.menu_wanted.connect(self._offer_menu)
        found.sign_in_wanted.connect(self._account.press)
        self.details.sign_in_wanted.connect(self._account.press)
        self.details.base_wanted.connect(discover.look_for_adapters_of)
        self.taking.taken.connect(lambda: self.cards.setFocus(Qt.FocusReason.OtherFocusReason))
        for part in (self.taking, self.strip):
            part.desk_wanted.connect(self.wanted)
            part.shown_in_library.connect(self.shown_in_library)
            part.base_chosen.connect(self.base_chosen)

    def _offer_actions(self) -> None:
        for words, keys, act in (
            ("Search the Hub", "Ctrl+F", self._write),
            ("Look on the Hub again", "Ctrl+R", self.discover.look_anew),
            ("Sign in to the Hub, or out", "", self._account.press),
        ):
            self.offer(words, keys, act)

    def _write(self) -> None:
        self.tools.field.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.tools.field.selectAll()

    # --- following the presenters ---

    def _show_state(self) -> None:
        self._room.choose(self.discover.state.query.room)
        self.tools.show_state(self.discover.state)

    def _show_account(self) -> None:
        mirror = self.account.state.mirror
        self._mirror.setText(f"Mirror {mirror}")
        self._mirror.setVisible(bool(mirror))

    def _show_line(self) -> None:
        self._line.setVisible(bool(self.downloads.fetches))

    # --- acting ---

    def _open(self, repo: HubRepo) -> None:
        """Enter on a card: onto the desk with it, or say what comes before."""
        if repo.have:
            is_adapter = self.discover.state.query.room == "adapters"
            (self.wanted if is_adapter else self.base_chosen).emit(repo.have)
        else:
            self.discover.choose(repo.repo)
            self.taking.point_out()

    def _warn_of_absence(self, repo: HubRepo) -> None:
        if not repo.have:
            words = f"{name_for(repo.repo)} has to be downloaded first."
            hint = "Let it go on the Mixer and it is fetched, then laid on the desk."
            self.noticed.emit(Notice("info", words, hint))

    def _offer_menu(self, repo: HubRepo, place: QPoint) -> None:
        room = self.discover.state.query.room
        menu = QMenu(self)
        if repo.have:
            menu.addAction(
                "Put on the desk" if room == "adapters" else "Use this base", lambda: self._open(repo)
            )
            menu.addAction("Show in library", lambda: self.shown_in_library.emit(room, repo.have))
        else:
            menu.addAction("Download", lambda: self._open(repo))
        if room == "bases":
            base = repo.have or repo.repo
            menu.addAction("Find its adapters", lambda: self.discover.look_for_adapters_of(base))
        elif not repo.have:
            menu.addAction("Download and put on the desk", lambda: self.fetch_for_desk(repo.repo))
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(place)

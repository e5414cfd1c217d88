"""The library page: its views with a switch beside the title; what is dropped or pasted is looked into."""

from __future__ import annotations

import re
from collections.abc import Callable

from PySide6.QtCore import QMimeData, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication
from PySide6.QtWidgets import QStackedLayout, QWidget

from app.client import Client
from app.pages.library.adapters import AdaptersView
from app.pages.library.disk import DiskView
from app.pages.library.others import BasesView, MixesView
from app.pages.library.publish import PublishDialog
from app.pages.library.view import View
from app.pages.page import Page
from app.presenters.account import Account
from app.presenters.activity import Activity
from app.presenters.disk import Disk
from app.presenters.downloads import Downloads
from app.presenters.library import Library
from app.presenters.notice import Notice
from app.presenters.others import Bases, Mixes
from app.presenters.publishing import Publishing
from widgets.choice import Choice

__all__ = ["VIEWS", "LibraryPage"]

VIEWS = {
    "adapters": ("Adapters", "Small files that teach a base one thing"),
    "bases": ("Base models", "What adapters are made for"),
    "mixes": ("Mixes", "Adapters and the router that learned who speaks when"),
    "disk": ("Disk", "What all of it takes on the disk, and the trash"),
}
_ADDRESS = re.compile(r"(?:hf://|https?://)\S+|[\w.-]+/[\w.-]+(?:@[\w./-]+)?")


class LibraryPage(Page):
    """Signals: ``wanted(name)`` and ``mix_wanted(name)``: an adapter or a mix onto the desk;
    ``ranks_wanted(name)``: slide an adapter's rank; ``address_wanted(text)``: show it in Discover, "" for
    Discover itself; ``base_chosen(name)``: the window is to use this base; ``adapters_wanted(base)``: find
    adapters of it."""

    wanted = Signal(str)
    ranks_wanted = Signal(str)
    mix_wanted = Signal(str)
    address_wanted = Signal(str)
    base_chosen = Signal(str)
    adapters_wanted = Signal(str)

    def __init__(
        self,
        client: Client,
        activity: Activity,
        downloads: Downloads,
        account: Callable[[], Account],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__("library", "Library", parent)
        self.setAcceptDrops(True)
        self._client = client
        self._activity = activity
        self._account = account
        self._base = ""
        self._publish: PublishDialog | None = None
        self.library = Library(client, downloads, self)
        self.views: dict[str, View | DiskView] = {}
        self._stack = QStackedLayout(self)
        self.head = Choice("library-view", "View of the library", VIEWS, role="view")
        self.head.chosen.connect(self.show_view)
        for place, (name, (title, _)) in enumerate(VIEWS.items(), start=1):
            self.offer(f"Library: {title}", f"Alt+{place}", lambda name=name: self.show_view(name))
        self.offer("Rename what is chosen", "F2", self._rename)
        self.offer("Remove what is chosen", "Del", self._remove)
        self.offer("Look into what was copied: a path or a Hub address", "Ctrl+V", self.paste)
        self.show_view("adapters")

    @property
    def view(self) -> View | DiskView:
        """The view in front."""
        return self._stack.currentWidget()

    def show_view(self, name: str) -> View | DiskView:
        """Bring a view to the front, building it if it has not been visited yet."""
        if name not in self.views:
            view = self.views[name] = self._build(name)
            self._stack.addWidget(view)
            if isinstance(view, View):
                view.noticed.connect(self.noticed)
                for words, keys, act in view.acts():
                    self.offer(words, keys, lambda name=name, act=act: (self.show_view(name), act()))
            self.use_base(self._base)
            self.built.emit(view)
        self._stack.setCurrentWidget(self.views[name])
        self.head.choose(name)
        return self.views[name]

    def regions(self) -> list[QWidget]:
        return [*self.view.regions(), self.head]

    def use_base(self, base: str) -> None:
        self._base = base
        self.library.use_base(base)
        if "bases" in self.views:
            self.views["bases"].bases.use_base(base)

    def look_at(self, room: str, name: str) -> None:
        """Look at something of the library."""
        self.show_view(room).keeping.choose(name)

    def undo(self) -> None:
        if isinstance(self.view, View):
            self.view.keeping.undo()

    def _rename(self) -> None:
        if isinstance(self.view, View) and self.view.keeping.state.chosen:
            self.view.name.write()

    def _remove(self) -> None:
        if isinstance(self.view, DiskView):
            self.view.remove_chosen()
        elif (keeping := self.view.keeping).state.chosen and not keeping.state.busy:
            keeping.remove(keeping.state.chosen)

    def paste(self) -> None:
        """Look into what was copied elsewhere."""
        copied = QGuiApplication.clipboard().mimeData()
        if _path(copied) or _address(copied):
            self._take(copied)
        else:
            hint = "Copy a folder, a file, or an address such as user/model."
            self.noticed.emit(Notice("info", "What was copied is neither a path nor an address.", hint))

    def _build(self, name: str) -> View | DiskView:
        match name:
            case "adapters":
                adapters = AdaptersView(self.library, self)
                adapters.wanted.connect(self.wanted)
                adapters.ranks_wanted.connect(self.ranks_wanted)
                adapters.address_wanted.connect(self.address_wanted)
                adapters.details.publish_wanted.connect(self._present_publishing)
                return adapters
            case "bases":
                bases = BasesView(Bases(self._client, self), self)
                bases.base_chosen.connect(self.base_chosen)
                bases.adapters_wanted.connect(self.adapters_wanted)
                return bases
            case "mixes":
                mixes = MixesView(Mixes(self._client, self), self)
                mixes.mix_wanted.connect(self.mix_wanted)
                return mixes
        disk = Disk(self._client, self)
        disk.noticed.connect(self.noticed)
        disk.measure()
        return DiskView(disk, self._activity, self)

    def _present_publishing(self, name: str) -> None:
        if self._publish is None:
            self._publish = PublishDialog(Publishing(self._client, self._account(), self), self)
        self._publish.present(name)

    # --- something is dropped ---

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if _path(event.mimeData()) or _address(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        event.acceptProposedAction()
        self._take(event.mimeData())

    def _take(self, carried: QMimeData) -> None:
        path, address = _path(carried), _address(carried)
        if path:
            view = self.view if isinstance(self.view, View) else self.show_view("adapters")
            view.take_in(path)
        elif address:
            self.address_wanted.emit(address)


def _path(carried: QMimeData) -> str:
    """The first local path that is carried; the engine judges what it is."""
    local = next((url.toLocalFile() for url in carried.urls() if url.isLocalFile()), "")
    text = carried.text().strip()
    return local or (text if text.startswith(("/", "~/")) and "\n" not in text else "")


def _address(carried: QMimeData) -> str:
    """What is carried if it looks like an address on the Hub; the engine judges whether it is one."""
    text = carried.text().strip()
    return text if _ADDRESS.fullmatch(text) else ""

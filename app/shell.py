"""The frame around the pages: rail, title row, notices, status line, keys. Pages are built on first visit."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from PySide6.QtCore import QSettings, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QCloseEvent, QKeySequence, QPaintEvent, QShortcut
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QMainWindow,
    QPlainTextEdit,
    QSplitter,
    QStackedWidget,
    QTextEdit,
    QVBoxLayout,
    QWidget,
)

from app.client import Client
from app.openings import PAGES, lay_on_desk, open_page, take
from app.pages.page import Page
from app.presenters.account import Account
from app.presenters.activity import Activity
from app.presenters.downloads import Downloads
from app.presenters.frame import Frame
from app.presenters.notice import Notice
from app.rail import Rail
from app.title_row import TitleRow
from widgets.finder import Finder, ShortcutSheet
from widgets.notice_bar import NoticeBar
from widgets.status import StatusLine
from widgets.tab_order import first_stop

__all__ = ["Shell"]

WIDEST = 1600


class Shell(QMainWindow):
    """The window. Everything a page needs is handed to it here; pages do not know each other.

    Signals: ``painted`` once, after the first paint.
    """

    painted = Signal()

    def __init__(self, client: Client, settings: QSettings) -> None:
        super().__init__()
        self._is_painted = False
        self.client = client
        self.settings = settings
        self.activity = Activity(client, self)
        self.downloads = Downloads(client, self.activity, self)
        self.frame = Frame(client, self.activity, str(settings.value("base", "")), self)
        self.pages: dict[str, Page] = {}
        self.setObjectName("shell")
        self.setMinimumSize(1000, 640)
        self._build()
        self._keys()
        self._connect()
        self._show_state()
        self._restore_place()

    # --- building ---

    def _build(self) -> None:
        self.rail = Rail(self)
        self.title = TitleRow(self)
        self.notice = NoticeBar(self)
        self._stack = QStackedWidget(self, objectName="pages")
        self.status = StatusLine(self)
        self.finder = Finder(self)
        self.sheet = ShortcutSheet(self)
        column = QVBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(_centred(self.title))
        column.addWidget(_line(self))
        column.addLayout(_centred(self.notice))
        column.addLayout(_centred(self._stack), 1)
        column.addWidget(_line(self))
        column.addWidget(self.status)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.rail)
        row.addWidget(_line(self, upright=True))
        row.addLayout(column, 1)
        middle = QWidget(self)
        middle.setLayout(row)
        self.setCentralWidget(middle)

    def _keys(self) -> None:
        self._actions: list[QAction] = []
        for place, (name, title) in enumerate(PAGES.items(), start=1):
            self._act(f"Go to {title}", f"Ctrl+{place}", lambda name=name: self.go(name))
        self._act("Undo", "Ctrl+Z", lambda: self.page().undo())
        self._act("Redo", "Ctrl+Shift+Z", lambda: self.page().redo())
        self._act("Search actions and pages", "Ctrl+K", self.find)
        self._act("Next part of the page", "F6", lambda: self.step_region(1))
        self._act("Previous part of the page", "Shift+F6", lambda: self.step_region(-1))
        self._act("Keyboard shortcuts", "F1", self.show_keys)
        self._act("Close the window", "Ctrl+Q", self.close)
        self._question = QShortcut(QKeySequence("?"), self)
        self._question.activated.connect(self.show_keys)
        QApplication.instance().focusChanged.connect(self._heed_writing)

    def _act(self, words: str, keys: str, act: Callable[[], object]) -> None:
        action = QAction(words, self, shortcut=QKeySequence(keys))
        action.triggered.connect(lambda: act())
        self.addAction(action)
        self._actions.append(action)

    def _connect(self) -> None:
        self.frame.changed.connect(self._show_state)
        self.frame.noticed.connect(self.say)
        self.downloads.noticed.connect(self.say)
        self.downloads.wanted_arrived.connect(lambda adapter: lay_on_desk(self, adapter))
        self.rail.wanted.connect(self.go)
        self.rail.dropped.connect(lambda name, kind, text: take(self, name, kind, text))
        self.title.base_chosen.connect(self.frame.choose_base)
        self.title.search_wanted.connect(self.find)
        self.status.engine_pressed.connect(self._engine_pressed)
        self.status.job_pressed.connect(lambda: self.go("activity"))

    # --- verbs ---

    def arrive(self) -> None:
        """Show the page that was open last time."""
        last = str(self.settings.value("page", "library"))
        self.go(last if last in PAGES else "library")

    def go(self, name: str) -> Page:
        """Show a page, building it if it has not been visited yet."""
        page = self.built(name)
        self._stack.setCurrentWidget(page)
        self.title.show_title(page.title)
        for other in self.pages.values():
            if other.head is not None:
                other.head.setVisible(other is page)
        self.setWindowTitle(f"Adapter Studio - {page.title}")
        self.rail.show_page(name)
        self.settings.setValue("page", name)
        if not self.rail.pressed.hasFocus() and (first := first_stop(page.regions()[0])):
            first.setFocus(Qt.FocusReason.ShortcutFocusReason)
        return page

    def page(self) -> Page:
        return self._stack.currentWidget()

    def say(self, notice: Notice) -> None:
        """Put a sentence into the bar under the title."""
        self.notice.say(notice.level, notice.message, notice.hint, notice.detail, notice.action)

    def find(self) -> None:
        own = [action for action in self.page().actions() if action.text()]
        self.finder.offer([*own, *self._actions])

    def show_keys(self) -> None:
        actions = [*self.page().actions(), *self._actions]
        keys = [(action.shortcut().toString(), action.text()) for action in actions]
        self.sheet.offer([(key, words) for key, words in keys if key])

    def step_region(self, step: int) -> None:
        """Move the focus to the next part of the window: rail, title row, the page's regions, status line."""
        regions = [self.rail.pressed, self.title.base, *self.page().regions(), self.status]
        regions = [region for region in regions if region.isVisible()]
        now = QApplication.focusWidget()
        around = [i for i, region in enumerate(regions) if region is now or region.isAncestorOf(now)]
        here = max(around, default=-1)  # the innermost: one region may lie in another
        for distance in range(1, len(regions) + 1):
            target = first_stop(regions[(here + step * distance) % len(regions)])
            if target is not None:
                target.setFocus(Qt.FocusReason.ShortcutFocusReason)
                return

    # --- inside ---

    @cached_property
    def account(self) -> Account:
        """Who is signed in to the Hub, for all pages; nobody asks before one of them shows it."""
        account = Account(self.client, self)
        account.noticed.connect(self.say)
        return account

    def built(self, name: str) -> Page:
        """A page, built if it has not been visited yet, whatever is shown."""
        if name not in self.pages:
            page = self.pages[name] = open_page(name, self)
            self._stack.addWidget(page)
            if page.head is not None:
                self.title.add_head(page.head)
            page.built.connect(self._remember_splitters)
            self._remember_splitters(page)
        return self.pages[name]

    def _remember_splitters(self, part: QWidget) -> None:
        for splitter in part.findChildren(QSplitter):
            key = f"splitters/{splitter.objectName()}"
            splitter.restoreState(self.settings.value(key, b""))
            splitter.splitterMoved.connect(
                lambda *_, splitter=splitter, key=key: self.settings.setValue(key, splitter.saveState())
            )

    def _show_state(self) -> None:
        state = self.frame.state
        self.status.show_engine(*state.engine, state.device, state.memory)
        self.status.show_job(*state.job)
        self.title.show_bases([base.name for base in state.bases], state.base)
        if state.base and state.base != self.settings.value("base", ""):
            self.settings.setValue("base", state.base)
        for page in self.pages.values():
            page.use_base(state.base)

    def _engine_pressed(self) -> None:
        if self.client.engine.phase == "stopped":
            self.notice.dismiss()
            self.client.restart()
        else:
            self.go("activity")

    def _heed_writing(self, _: QWidget | None, now: QWidget | None) -> None:
        """The "?" is also a letter: it opens the shortcut sheet only where nobody is writing."""
        self._question.setEnabled(not _writes(now))

    def _restore_place(self) -> None:
        self.resize(1280, 800)
        self.restoreGeometry(self.settings.value("geometry", b""))

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._is_painted:
            self._is_painted = True
            QTimer.singleShot(0, self, self.painted.emit)

    def closeEvent(self, event: QCloseEvent) -> None:
        self.settings.setValue("geometry", self.saveGeometry())
        self.settings.sync()
        super().closeEvent(event)


def _line(parent: QWidget, *, upright: bool = False) -> QFrame:
    line = QFrame(parent)
    line.setProperty("role", "upright" if upright else "line")
    return line


def _centred(widget: QWidget) -> QHBoxLayout:
    """A row in which ``widget`` takes all there is, and on wide screens no more than WIDEST."""
    widget.setMaximumWidth(WIDEST)
    row = QHBoxLayout()
    row.addStretch(0)
    row.addWidget(widget, 1)
    row.addStretch(0)
    return row


def _writes(widget: QWidget | None) -> bool:
    return isinstance(widget, QLineEdit | QTextEdit | QPlainTextEdit) or (
        isinstance(widget, QComboBox) and widget.isEditable()
    )

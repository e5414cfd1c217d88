"""The frame around the pages: rail, title row, notices, status line, keys. Pages are built on first visit."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from PySide6.QtCore import QSettings, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QCloseEvent, QKeySequence, QPaintEvent, QShortcut
from PySide6.QtWidgets import (
    QApplication,
    QButtonGroup,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
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
from app.models.adapters import MIME
from app.models.hub import ABSENT_MIME
from app.pages.page import Page
from app.presenters.account import Account
from app.presenters.activity import Activity
from app.presenters.downloads import Downloads
from app.presenters.frame import Frame
from app.presenters.notice import Notice
from widgets.finder import Finder, ShortcutSheet
from widgets.icon_button import WordButton
from widgets.notice_bar import NoticeBar
from widgets.rail_button import RailButton
from widgets.status import StatusLine
from widgets.tab_order import stop_at_pressed
from widgets.theme import pixmap, theme

__all__ = ["PAGES", "Shell"]

# What can be let go on a page's button in the rail, and whether the page opens when it is held there: with an
# adapter that is yet to be downloaded nobody can go on to a place on the desk.
TAKES = {"mixer": {MIME: True, ABSENT_MIME: False}}
WIDEST = 1600
# The name is also the drawing in the rail and the page's name on the command line.
PAGES = {
    "discover": "Discover",
    "library": "Library",
    "mixer": "Mixer",
    "activity": "Activity",
    "settings": "Settings",
}


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
        self._title = QLabel(self)
        self._title.setProperty("role", "title")
        self.notice = NoticeBar(self)
        self._stack = QStackedWidget(self, objectName="pages")
        self.status = StatusLine(self)
        self.finder = Finder(self)
        self.sheet = ShortcutSheet(self)
        column = QVBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(_centred(self._title_row()))
        column.addWidget(_line(self))
        column.addLayout(_centred(self.notice))
        column.addLayout(_centred(self._stack), 1)
        column.addWidget(_line(self))
        column.addWidget(self.status)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self._rail())
        row.addWidget(_line(self, upright=True))
        row.addLayout(column, 1)
        middle = QWidget(self)
        middle.setLayout(row)
        self.setCentralWidget(middle)

    def _rail(self) -> QWidget:
        rail = QFrame(self, objectName="rail", accessibleName="Pages")
        rail.setFixedWidth(56)
        column = QVBoxLayout(rail)
        column.setContentsMargins(0, 0, 0, 8)
        column.setSpacing(0)
        self._mark = QLabel(rail, alignment=Qt.AlignmentFlag.AlignCenter)
        self._mark.setFixedHeight(56)
        self._mark.setPixmap(pixmap("app", 32, theme.tokens.text, self.devicePixelRatioF()))
        column.addWidget(self._mark)
        self._rail_group = QButtonGroup(self)
        for place, (name, title) in enumerate(PAGES.items(), start=1):
            button = RailButton(name, title, f"go-{name}", TAKES.get(name, {}), rail)
            button.setToolTip(f"{title}  Ctrl+{place}")
            button.clicked.connect(lambda _=False, name=name: self.go(name))
            button.held.connect(lambda name=name: self.go(name))
            button.dropped.connect(self._take)
            self._rail_group.addButton(button)
            if name == "settings":
                column.addStretch(1)
            column.addWidget(button)
        stop_at_pressed(self._rail_group)
        return rail

    def _title_row(self) -> QWidget:
        bar = QWidget(self)
        bar.setFixedHeight(56)
        self._base = QComboBox(bar, objectName="base", accessibleName="Base model")
        self._base.setMinimumWidth(176)
        self._heads = QWidget(bar)
        heads = QHBoxLayout(self._heads)
        heads.setContentsMargins(0, 0, 0, 0)
        label = QLabel("Base", bar)
        label.setProperty("role", "dim")
        self._find = WordButton("search", "Search  Ctrl+K", "search", bar)
        self._find.setAccessibleName("Search actions and pages")
        self._find.clicked.connect(self.find)
        row = QHBoxLayout(bar)
        row.setContentsMargins(24, 0, 16, 0)
        row.setSpacing(8)
        row.addWidget(self._title)
        row.addSpacing(16)
        row.addWidget(self._heads)
        row.addStretch(1)
        row.addWidget(label)
        row.addWidget(self._base)
        row.addSpacing(8)
        row.addWidget(self._find)
        return bar

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
        self.downloads.wanted_arrived.connect(self._lay_arrived)
        self._base.currentTextChanged.connect(self._choose_base)
        self.status.engine_pressed.connect(self._engine_pressed)
        self.status.job_pressed.connect(lambda: self.go("activity"))

    # --- verbs ---

    def arrive(self) -> None:
        """Show the page that was open last time."""
        last = str(self.settings.value("page", "library"))
        self.go(last if last in PAGES else "library")

    def go(self, name: str) -> Page:
        """Show a page, building it if it has not been visited yet."""
        page = self._built(name)
        self._stack.setCurrentWidget(page)
        self._title.setText(page.title)
        for other in self.pages.values():
            if other.head is not None:
                other.head.setVisible(other is page)
        self.setWindowTitle(f"Adapter Studio - {page.title}")
        self._rail_group.buttons()[list(PAGES).index(name)].setChecked(True)
        self.settings.setValue("page", name)
        if not self._rail_group.checkedButton().hasFocus() and (first := _first_focus(page.regions()[0])):
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
        regions = [self._rail_group.checkedButton(), self._base, *self.page().regions(), self.status]
        regions = [region for region in regions if region.isVisible()]
        now = QApplication.focusWidget()
        around = [i for i, region in enumerate(regions) if region is now or region.isAncestorOf(now)]
        here = max(around, default=-1)  # the innermost: one region may lie in another
        for distance in range(1, len(regions) + 1):
            target = _first_focus(regions[(here + step * distance) % len(regions)])
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

    def _built(self, name: str) -> Page:
        if name not in self.pages:
            self.pages[name] = self._open(name)
        return self.pages[name]

    def _take(self, kind: str, text: str) -> None:
        """Something was let go on the mixer's button."""
        if kind == MIME:
            self.go("mixer").add(text)
        else:
            self._built("discover").fetch_for_desk(text)

    def _lay_arrived(self, adapter: str) -> None:
        """What was to go onto the desk is here: lay it there, and leave the person where they are."""
        self._built("mixer").add(adapter)

    def _tell_of_desk(self, adapter: str) -> None:
        if self.page().objectName() != "mixer":
            show = ("Show the desk", lambda: self.go("mixer"))
            self.say(Notice("good", f"{adapter} is on the desk.", action=show))

    def _show_in_library(self, room: str, name: str) -> None:
        self.go("library").look_at(room, name)

    def _open_mix(self, mix: str) -> None:
        page = self.go("mixer")
        if mix:
            page.open_mix(mix)

    def _show_in_discover(self, address: str) -> None:
        """Something that was dropped or pasted elsewhere may be an address on the Hub."""
        page = self.go("discover")
        if address:
            page.discover.look_for(address)

    def _find_adapters_of(self, base: str) -> None:
        self.go("discover").discover.look_for_adapters_of(base)

    def _open(self, name: str) -> Page:
        """A page that has not been visited before; its module is imported only now."""
        match name:
            case "discover":
                from app.pages.discover import DiscoverPage

                page: Page = DiscoverPage(self.client, self.downloads, self.account, self.settings)
                page.wanted.connect(lambda adapter: self.go("mixer").add(adapter))
                page.shown_in_library.connect(self._show_in_library)
                page.base_chosen.connect(self._choose_base)
            case "library":
                from app.pages.library import LibraryPage

                page = LibraryPage(self.client, self.activity, self.downloads, lambda: self.account)
                page.wanted.connect(lambda adapter: self.go("mixer").add(adapter))
                page.mix_wanted.connect(self._open_mix)
                page.address_wanted.connect(self._show_in_discover)
                page.adapters_wanted.connect(self._find_adapters_of)
                page.base_chosen.connect(self._choose_base)
            case "mixer":
                from app.pages.mixer import MixerPage

                page = MixerPage(self.client, self.settings)
                page.added.connect(self._tell_of_desk)
            case "activity":
                from app.pages.activity import ActivityPage

                page = ActivityPage(self.activity)
            case _:
                from app.pages.settings import SettingsPage

                page = SettingsPage(self.client, self.account, self.settings)
        page.noticed.connect(self.say)
        page.use_base(self.frame.state.base)
        self._stack.addWidget(page)
        if page.head is not None:
            page.head.hide()  # until the page is shown: one may be built without being gone to
            self._heads.layout().addWidget(page.head)
        page.built.connect(self._remember_splitters)
        self._remember_splitters(page)
        return page

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
        names = [base.name for base in state.bases]
        if [self._base.itemText(i) for i in range(self._base.count())] != names:
            self._base.blockSignals(True)
            self._base.clear()
            self._base.addItems(names)
            self._base.blockSignals(False)
        if self._base.currentText() != state.base:
            self._base.blockSignals(True)
            self._base.setCurrentText(state.base)
            self._base.blockSignals(False)
        self._base.setEnabled(bool(names))
        if state.base and state.base != self.settings.value("base", ""):
            self.settings.setValue("base", state.base)
        for page in self.pages.values():
            page.use_base(state.base)

    def _choose_base(self, base: str) -> None:
        self.frame.choose_base(base)

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


def _first_focus(region: QWidget) -> QWidget | None:
    """The first widget in ``region`` that the keyboard may enter."""
    for widget in [region, *region.findChildren(QWidget)]:
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isVisible() and widget.isEnabled():
            return widget
    return None

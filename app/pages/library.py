"""The library page: cards with search, order and filter, details beside them; folders can be dropped."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, Qt, Signal
from PySide6.QtGui import QAction, QDragEnterEvent, QDropEvent, QKeySequence
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.client import Client
from app.models.adapters import AdapterFilter, AdapterRoles, Adapters
from app.pages.adapter_details import AdapterDetails
from app.pages.page import Page
from app.presenters.library import Library
from app.words import count
from widgets.card_list import CardList
from widgets.empty import Empty
from widgets.icon_button import WordButton

__all__ = ["LibraryPage"]

ALL_BASES = "All bases"


class LibraryPage(Page):
    """Signals: ``wanted`` with an adapter's name: onto the desk with it."""

    wanted = Signal(str)

    def __init__(self, client: Client, parent: QWidget | None = None) -> None:
        super().__init__("library", "Library", parent)
        self.setAcceptDrops(True)
        self.library = Library(client, self)
        self.adapters = Adapters(self)
        self.shown = AdapterFilter(self.adapters, self)
        self._build()
        self._connect()
        self._offer_actions()
        self._show_state()

    def regions(self) -> list[QWidget]:
        return [self._search, self.cards, self.details]

    def use_base(self, base: str) -> None:
        self.library.use_base(base)

    def _build(self) -> None:
        self.cards = CardList(AdapterRoles.FACE, "library-cards", "Adapters", self)
        self.cards.setModel(self.shown)
        self.details = AdapterDetails(self.library, self)
        self._empty = Empty(
            "library",
            "No adapters yet",
            "An adapter is a small file that teaches a base model one thing. Drop the folder that PEFT wrote "
            "onto this page, or choose it.",
            "Import an adapter",
            "library-empty",
            self,
        )
        self._none_found = Empty(
            "search",
            "Nothing found",
            "No adapter matches the search and the filter.",
            "Show all",
            "library-none",
        )
        self._stack = QStackedWidget(self)
        for widget in (self.cards, self._empty, self._none_found, QWidget(self)):
            self._stack.addWidget(widget)
        left = QWidget(self)
        column = QVBoxLayout(left)
        column.setContentsMargins(16, 16, 8, 0)
        column.setSpacing(8)
        column.addLayout(self._tools())
        column.addWidget(self._stack, 1)
        self._splitter = QSplitter(Qt.Orientation.Horizontal, self, objectName="library-splitter")
        self._splitter.setChildrenCollapsible(False)
        self._splitter.addWidget(left)
        self._splitter.addWidget(self.details)
        self._splitter.setStretchFactor(0, 1)
        self._splitter.setSizes([836, 388])
        left.setMinimumWidth(480)
        self.details.setMinimumWidth(372)
        page = QVBoxLayout(self)
        page.setContentsMargins(0, 0, 0, 0)
        page.addWidget(self._splitter)

    def _tools(self) -> QHBoxLayout:
        self._search = QLineEdit(self, objectName="library-search", accessibleName="Search adapters")
        self._search.setPlaceholderText("Search adapters")
        self._search.setClearButtonEnabled(True)
        self._bases = QComboBox(self, objectName="library-base", accessibleName="Show adapters of")
        self._bases.addItem(ALL_BASES)
        self._order = QComboBox(self, objectName="library-order", accessibleName="Order by")
        self._order.addItems([f"By {order.lower()}" for order in Adapters.ORDERS])
        self._hidden = QPushButton(self, objectName="library-hidden")
        self._hidden.setProperty("role", "quiet")
        self._import = WordButton("import", "Import", "library-import", self)
        self._import.setAccessibleName("Import an adapter from a folder")
        row = QHBoxLayout()
        row.setContentsMargins(8, 0, 8, 0)
        row.setSpacing(8)
        row.addWidget(self._search, 1)
        row.addWidget(self._bases)
        row.addWidget(self._order)
        row.addWidget(self._hidden)
        row.addWidget(self._import)
        return row

    def _connect(self) -> None:
        self.library.changed.connect(self._show_state)
        self.library.noticed.connect(self.noticed)
        self.details.wanted.connect(self.wanted)
        self._search.textChanged.connect(self._narrow)
        self._bases.currentTextChanged.connect(self._narrow)
        self._order.currentIndexChanged.connect(lambda i: self.adapters.order(Adapters.ORDERS[i]))
        self._hidden.clicked.connect(self._show_all)
        self._none_found.pressed.connect(self._show_all)
        self._import.clicked.connect(self.choose_folder)
        self._empty.pressed.connect(self.choose_folder)
        self.cards.selectionModel().currentChanged.connect(self._chosen)
        # A click on the chosen card changes no selection, but does turn away a folder that was looked at.
        self.cards.clicked.connect(self._chosen)
        self.cards.activated.connect(lambda index: self.wanted.emit(index.data(AdapterRoles.NAME)))

    def _offer_actions(self) -> None:
        for words, keys, act in (
            ("Import an adapter", "Ctrl+I", self.choose_folder),
            ("Search adapters", "Ctrl+F", self._search.setFocus),
            ("Verify the files of all adapters", "", self.library.verify),
        ):
            action = QAction(words, self, shortcut=QKeySequence(keys))
            action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            action.triggered.connect(lambda _=False, act=act: act())
            self.addAction(action)

    def choose_folder(self) -> None:
        """Ask for a folder and look into it."""
        folder = QFileDialog.getExistingDirectory(self, "Which folder holds the adapter?")
        if folder:
            self.library.inspect(folder)

    # --- following the presenter ---

    def _show_state(self) -> None:
        state = self.library.state
        self.adapters.fill(state.cards, state.base, state.checked)
        self._list_bases(sorted({card.base for card in state.cards if card.base}))
        self.details.show_state(state)
        self._count()
        if state.known and not state.chosen and state.guest is None and self.shown.rowCount():
            self.library.choose(self.shown.index(0, 0).data(AdapterRoles.NAME))
            return
        self._point_at(state.chosen)

    def _list_bases(self, names: list[str]) -> None:
        wanted = [ALL_BASES, *names]
        if [self._bases.itemText(i) for i in range(self._bases.count())] == wanted:
            return
        now = self._bases.currentText()
        self._bases.blockSignals(True)
        self._bases.clear()
        self._bases.addItems(wanted)
        self._bases.setCurrentText(now if now in wanted else ALL_BASES)
        self._bases.blockSignals(False)
        self._narrow()

    def _point_at(self, name: str) -> None:
        row = self.adapters.row_of(name)
        index = self.shown.mapFromSource(self.adapters.index(row)) if row >= 0 else QModelIndex()
        if index.isValid() and index != self.cards.currentIndex():
            self.cards.setCurrentIndex(index)
            self.cards.scrollTo(index)

    def _chosen(self, index: QModelIndex) -> None:
        if index.isValid():
            self.library.choose(index.data(AdapterRoles.NAME))

    def _narrow(self) -> None:
        base = self._bases.currentText()
        self.shown.narrow(self._search.text(), "" if base == ALL_BASES else base)
        self._count()

    def _show_all(self) -> None:
        self._search.clear()
        self._bases.setCurrentText(ALL_BASES)

    def _count(self) -> None:
        hidden = self.shown.hidden
        words = f"{hidden:,} hidden, show"
        self._hidden.setText(words)
        self._hidden.setAccessibleName(f"{count(hidden, 'adapter')} hidden, show all")
        self._hidden.setVisible(hidden > 0)
        if not self.library.state.known:
            self._stack.setCurrentIndex(3)
        elif not self.adapters.rowCount():
            self._stack.setCurrentWidget(self._empty)
        else:
            self._stack.setCurrentWidget(self.cards if self.shown.rowCount() else self._none_found)

    # --- a folder is dropped ---

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if _folder(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        folder = _folder(event)
        if folder:
            event.acceptProposedAction()
            self.library.inspect(folder)


def _folder(event: QDropEvent) -> str:
    """The first local path that is being dragged; the engine judges what it is."""
    return next((url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()), "")

"""The library's adapters: cards with search, filter and order, details beside them."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.models.adapters import AdapterFilter, AdapterRoles, Adapters
from app.pages.library.details import AdapterDetails
from app.pages.library.view import Act, View, beside
from app.presenters.library import Library
from app.words import count
from widgets.card_list import CardList
from widgets.empty import Empty
from widgets.facts import plain_label
from widgets.icon_button import WordButton
from widgets.name_field import NameField
from widgets.still import still

__all__ = ["AdaptersView"]

ALL_BASES = "All bases"
ALL_TAGS = "All tags"


class AdaptersView(View):
    """Signals: ``wanted(name)``: onto the desk with it; ``ranks_wanted(name)``: slide its rank;
    ``address_wanted(text)``: show it in Discover, "" for Discover itself."""

    wanted = Signal(str)
    ranks_wanted = Signal(str)
    address_wanted = Signal(str)

    def __init__(self, library: Library, parent: QWidget | None = None) -> None:
        super().__init__(library, parent)
        self.library = library
        self.adapters = Adapters(self)
        self.shown = AdapterFilter(self.adapters, self)
        self._build()
        self._connect()
        self._show_state()

    def regions(self) -> list[QWidget]:
        return [self.search, self.cards, self.details]

    @property
    def name(self) -> NameField:
        return self.details.name

    def acts(self) -> list[Act]:
        return [
            ("Import an adapter from a folder", "Ctrl+I", self.choose_folder),
            ("Import an adapter from a file", "Ctrl+Shift+I", self.choose_file),
            ("Search adapters", "Ctrl+F", self.search.setFocus),
            ("Check the Hub for newer revisions", "", self.library.check_revisions),
            ("Verify the files of all adapters", "", self.library.verify),
            ("Slide the rank of the chosen adapter", "Ctrl+R", self._slide),
        ]

    def _slide(self) -> None:
        if self.library.state.card is not None:
            self.ranks_wanted.emit(self.library.state.card.name)

    def take_in(self, path: str) -> None:
        self.library.inspect(path)

    def _build(self) -> None:
        self.cards = CardList(AdapterRoles.FACE, "library-cards", "Adapters", self)
        self.cards.setModel(self.shown)
        self.details = AdapterDetails(self.library, self)
        self._empty = Empty(
            "library",
            "No adapters yet",
            "An adapter is a small file that teaches a base model one thing. Find one on the Hub, or drop "
            "here what you have: the folder that PEFT wrote, a file, or an address.",
            "Find adapters",
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
        column.addLayout(self._filters())
        column.addWidget(self._stack, 1)
        splitter = QSplitter(Qt.Orientation.Horizontal, self, objectName="library-splitter")
        beside(self, splitter, left, self.details)

    def _tools(self) -> QHBoxLayout:
        self.search = QLineEdit(self, objectName="library-search", accessibleName="Search adapters")
        self.search.setPlaceholderText("Search adapters")
        self.search.setClearButtonEnabled(True)
        self._bases = QComboBox(self, objectName="library-base", accessibleName="Show adapters of")
        self._bases.addItem(ALL_BASES)
        self._order = QComboBox(self, objectName="library-order", accessibleName="Order by")
        self._order.addItems([f"By {order.lower()}" for order in Adapters.ORDERS])
        self._import = WordButton("import", "Import", "library-import", self)
        self._import.setAccessibleName("Import an adapter from a folder, a file or the Hub")
        row = QHBoxLayout()
        row.setContentsMargins(8, 0, 8, 0)
        row.setSpacing(8)
        row.addWidget(self.search, 1)
        row.addWidget(still(self._bases))
        row.addWidget(still(self._order))
        row.addWidget(self._import)
        return row

    def _filters(self) -> QHBoxLayout:
        self._counted = plain_label("tiny")
        self._tags = QComboBox(self, objectName="library-tag", accessibleName="Show adapters tagged")
        self._tags.addItem(ALL_TAGS)
        self._hidden = QPushButton(self, objectName="library-hidden")
        self._hidden.setProperty("role", "quiet")
        self._check = WordButton("retry", "Check for updates", "library-check", self)
        self._check.setAccessibleName("Ask the Hub for newer revisions")
        self._check.setProperty("role", "quiet")
        row = QHBoxLayout()
        row.setContentsMargins(8, 0, 8, 0)
        row.setSpacing(8)
        row.addWidget(self._counted)
        row.addWidget(still(self._tags))
        row.addWidget(self._hidden)
        row.addStretch(1)
        row.addWidget(self._check)
        return row

    def _connect(self) -> None:
        self.library.changed.connect(self._show_state)
        self.library.downloads.changed.connect(lambda: self.details.show_state(self.library.state))
        self.details.wanted.connect(self.wanted)
        self.details.ranks_wanted.connect(self.ranks_wanted)
        self.details.hub_wanted.connect(self.address_wanted)
        self.search.textChanged.connect(self._narrow)
        self._bases.currentTextChanged.connect(self._narrow)
        self._tags.currentTextChanged.connect(self._narrow)
        self._order.currentIndexChanged.connect(lambda i: self.adapters.order(Adapters.ORDERS[i]))
        self._hidden.clicked.connect(self._show_all)
        self._none_found.pressed.connect(self._show_all)
        self._import.clicked.connect(self._offer_ways)
        self._check.clicked.connect(self.library.check_revisions)
        self._empty.pressed.connect(lambda: self.address_wanted.emit(""))
        self.cards.selectionModel().currentChanged.connect(self._chosen)
        # A click on the chosen card changes no selection, but does turn away a guest that was looked at.
        self.cards.clicked.connect(self._chosen)
        self.cards.activated.connect(lambda index: self.wanted.emit(index.data(AdapterRoles.NAME)))

    def _offer_ways(self) -> None:
        menu = QMenu(self)
        menu.setObjectName("library-import-menu")
        menu.addAction("A folder…").triggered.connect(lambda: self.choose_folder())
        menu.addAction("A file…").triggered.connect(lambda: self.choose_file())
        menu.addAction("From the Hub").triggered.connect(lambda: self.address_wanted.emit(""))
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(self._import.mapToGlobal(self._import.rect().bottomLeft()))

    def choose_folder(self) -> None:
        """Ask for a folder and look into it."""
        folder = QFileDialog.getExistingDirectory(self, "Which folder holds the adapter?")
        if folder:
            self.library.inspect(folder)

    def choose_file(self) -> None:
        """Ask for a file and look into it."""
        kinds = "Adapters (*.safetensors *.bin *.pt *.pth);;All files (*)"
        file, _ = QFileDialog.getOpenFileName(self, "Which file is the adapter?", "", kinds)
        if file:
            self.library.inspect(file)

    # --- following the presenter ---

    def _show_state(self) -> None:
        state = self.library.state
        self.adapters.fill(state.cards, state.base, state.fits, state.checked)
        self._list(self._bases, ALL_BASES, {card.base for card in state.cards if card.base})
        self._list(self._tags, ALL_TAGS, {tag for card in state.cards for tag in card.tags})
        self._tags.setVisible(self._tags.count() > 1)
        self._check.setVisible(any(card.repo for card in state.cards))
        self._check.setEnabled(not state.busy)
        self.details.show_state(state)
        self._count()
        if state.known and not state.chosen and state.guest is None and self.shown.rowCount():
            self.library.choose(self.shown.index(0, 0).data(AdapterRoles.NAME))
            return
        self._point_at(state.chosen)

    def _list(self, box: QComboBox, everything: str, names: set[str]) -> None:
        wanted = [everything, *sorted(names)]
        if [box.itemText(i) for i in range(box.count())] == wanted:
            return
        now = box.currentText()
        with QSignalBlocker(box):
            box.clear()
            box.addItems(wanted)
            box.setCurrentText(now if now in wanted else everything)
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
        base, tag = self._bases.currentText(), self._tags.currentText()
        self.shown.narrow(
            self.search.text(), "" if base == ALL_BASES else base, "" if tag == ALL_TAGS else tag
        )
        self._count()

    def _show_all(self) -> None:
        self.search.clear()
        self._bases.setCurrentText(ALL_BASES)
        self._tags.setCurrentText(ALL_TAGS)

    def _count(self) -> None:
        hidden = self.shown.hidden
        self._counted.setText(self.library.state.busy or count(self.shown.rowCount(), "adapter"))
        self._hidden.setText(f"{hidden:,} hidden, show")
        self._hidden.setAccessibleName(f"{count(hidden, 'adapter')} hidden, show all")
        self._hidden.setVisible(hidden > 0)
        if not self.library.state.known:
            self._stack.setCurrentIndex(3)
        elif not self.adapters.rowCount():
            self._stack.setCurrentWidget(self._empty)
        else:
            self._stack.setCurrentWidget(self.cards if self.shown.rowCount() else self._none_found)

"""The search field with what was looked for before, the filters under it, and what they hide."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, QStringListModel, Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QCompleter,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.models.hub import ANY, Range
from app.presenters.discover import Discover, DiscoverState
from app.words import count
from widgets.icon_button import IconButton
from widgets.still import still

__all__ = ["Tools"]

SORTS = {
    "Trending": "trending",
    "Most downloads": "downloads",
    "Most likes": "likes",
    "Newest change": "modified",
}
TASKS = {
    "Any task": "",
    "Text generation": "text-generation",
    "Text classification": "text-classification",
    "Summarisation": "summarization",
    "Translation": "translation",
    "Question answering": "question-answering",
    "Feature extraction": "feature-extraction",
    "Image classification": "image-classification",
    "Image and text": "image-text-to-text",
    "Speech recognition": "automatic-speech-recognition",
}
LICENSES = {
    "Any licence": "",
    "Apache 2.0": "apache-2.0",
    "MIT": "mit",
    "BSD 3-Clause": "bsd-3-clause",
    "CC BY 4.0": "cc-by-4.0",
    "CC BY-SA 4.0": "cc-by-sa-4.0",
    "CC BY-NC 4.0": "cc-by-nc-4.0",
    "OpenRAIL": "openrail",
    "Llama 3": "llama3",
    "Llama 3.1": "llama3.1",
    "Llama 3.2": "llama3.2",
    "Gemma": "gemma",
}
ACCESS = {"Any access": None, "Open only": False, "Gated only": True}
RANKS: dict[str, Range] = {
    "Any rank": ANY,
    "Rank up to 8": (1, 8),
    "Rank 9 to 16": (9, 16),
    "Rank 17 to 64": (17, 64),
    "Rank over 64": (65, float("inf")),
}
SIZES: dict[str, Range] = {
    "Any size": ANY,
    "Under 10 MB": (0, 1e7),
    "10 to 100 MB": (1e7, 1e8),
    "100 MB to 1 GB": (1e8, 1e9),
    "1 to 10 GB": (1e9, 1e10),
    "Over 10 GB": (1e10, float("inf")),
}
ALL_BASES = "All bases"


class Tools(QWidget):
    """Signals: ``ranged(rank, size)`` when another range was chosen; ``show_hidden``: all is to be seen."""

    ranged = Signal(object, object)
    show_hidden = Signal()

    def __init__(self, discover: Discover, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._discover = discover
        self.field = QLineEdit(self, objectName="discover-search")
        self.field.setAccessibleName("Search the Hub, or paste the address of a repository")
        self.field.setPlaceholderText("Search the Hub, or paste an address: user/model")
        self.field.setClearButtonEnabled(True)
        self._earlier = QStringListModel(self)
        completer = QCompleter(self._earlier, self)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.activated.connect(discover.look_for)
        self.field.setCompleter(completer)
        self._recent = IconButton("recent", "Earlier searches", "discover-recent", self)
        self._recent.clicked.connect(self._offer_recent)
        self._sort = self._box("sort", "Order of the list", list(SORTS))
        self._base = self._box("base", "Adapters for which base", [])
        self._task = self._box("task", "Task", list(TASKS))
        self._license = self._box("license", "Licence", list(LICENSES))
        self._access = self._box("access", "Open or gated", list(ACCESS))
        self._rank = self._box("rank", "Rank", list(RANKS))
        self._size = self._box("size", "Size", list(SIZES))
        self._hidden = QPushButton(self, objectName="discover-hidden")
        self._hidden.setProperty("role", "quiet")
        self._state = QLabel(self, textFormat=Qt.TextFormat.PlainText)
        self._state.setProperty("role", "tiny")
        self._compose()
        self._connect()

    @property
    def ranges(self) -> tuple[Range, Range]:
        return RANKS[self._rank.currentText()], SIZES[self._size.currentText()]

    @property
    def is_narrowed(self) -> bool:
        """Whether something else than the search may be why nothing is found."""
        query = self._discover.state.query
        return bool(query.base or query.task or query.license or query.gated is not None) or self.ranges != (
            ANY,
            ANY,
        )

    def show_state(self, state: DiscoverState) -> None:
        query = state.query
        if self.field.text().strip() != query.text.strip():
            with QSignalBlocker(self.field):
                self.field.setText(query.text)
        self._earlier.setStringList(list(state.recent))
        self._recent.setEnabled(bool(state.recent))
        self._list_bases(state)
        for box, choices, value in (
            (self._sort, SORTS, query.sort),
            (self._task, TASKS, query.task),
            (self._license, LICENSES, query.license),
            (self._access, ACCESS, query.gated),
        ):
            with QSignalBlocker(box):
                box.setCurrentIndex(list(choices.values()).index(value))
        is_adapters = query.room == "adapters"
        self._base.setVisible(is_adapters)
        self._rank.setVisible(is_adapters)

    def tell(self, found: int, more: bool, hidden: int) -> None:
        """How many are in the list and how many are hidden."""
        self._state.setText(f"{found:,} found{' so far' if more else ''}" if found else "")
        self._hidden.setText(f"{hidden:,} hidden by filters, show")
        told = count(hidden, "repository", "repositories")
        self._hidden.setAccessibleName(f"{told} hidden by filters, show all")
        self._hidden.setVisible(hidden > 0)

    def show_all(self) -> None:
        """Take the ranges away."""
        for box in (self._rank, self._size):
            with QSignalBlocker(box):
                box.setCurrentIndex(0)
        self.ranged.emit(*self.ranges)

    def _list_bases(self, state: DiscoverState) -> None:
        query = state.query
        known = sorted(state.bases or (), key=lambda name: name != state.base)  # the window's first
        wanted = [name for name in dict.fromkeys([*known, query.base]) if name]
        if [self._base.itemData(i) for i in range(self._base.count())] != [*wanted, ""]:
            with QSignalBlocker(self._base):
                self._base.clear()
                for name in wanted:
                    self._base.addItem(name, name)
                self._base.addItem(ALL_BASES, "")
        with QSignalBlocker(self._base):
            self._base.setCurrentIndex(self._base.findData(query.base))

    def _offer_recent(self) -> None:
        menu = QMenu(self)
        menu.setObjectName("discover-recent-menu")
        for text in self._discover.state.recent:
            menu.addAction(text.replace("&", "&&")).triggered.connect(
                lambda _=False, text=text: self._discover.look_for(text)
            )
        menu.addSeparator()
        menu.addAction("Forget them").triggered.connect(lambda: self._discover.forget_recent())
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(self._recent.mapToGlobal(self._recent.rect().bottomLeft()))

    def _box(self, name: str, words: str, choices: list[str]) -> QComboBox:
        box = still(QComboBox(self, objectName=f"discover-{name}", accessibleName=words))
        box.addItems(choices)
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        box.setMinimumContentsLength(4)
        box.view().setTextElideMode(Qt.TextElideMode.ElideNone)
        box.currentTextChanged.connect(lambda text: box.setToolTip(f"{words}: {text}"))
        return box

    def _connect(self) -> None:
        discover = self._discover
        self.field.textEdited.connect(discover.write)
        self.field.textChanged.connect(lambda text: None if text else discover.write(""))
        self.field.returnPressed.connect(lambda: discover.look_for(self.field.text()))
        self._base.currentIndexChanged.connect(lambda _: discover.choose_base(self._base.currentData()))
        for box, part, choices in (
            (self._sort, "sort", SORTS),
            (self._task, "task", TASKS),
            (self._license, "license", LICENSES),
            (self._access, "gated", ACCESS),
        ):
            box.currentTextChanged.connect(
                lambda text, part=part, choices=choices: discover.narrow(**{part: choices[text]})
            )
        for box in (self._rank, self._size):
            box.currentTextChanged.connect(lambda _: self.ranged.emit(*self.ranges))
        self._hidden.clicked.connect(self.show_hidden)

    def _compose(self) -> None:
        first = QHBoxLayout()
        first.setSpacing(8)
        first.addWidget(self.field, 1)
        first.addWidget(self._recent)
        first.addWidget(self._sort)
        filters = QHBoxLayout()
        filters.setSpacing(8)
        for box in (self._base, self._task, self._license, self._access, self._rank, self._size):
            filters.addWidget(box, 1)
        last = QHBoxLayout()
        last.setSpacing(8)
        last.addWidget(self._state)
        last.addWidget(self._hidden)
        last.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 0, 8, 0)
        column.setSpacing(8)
        column.addLayout(first)
        column.addLayout(filters)
        column.addLayout(last)

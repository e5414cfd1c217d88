"""The library's base models, and its mixes: cards, and beside them what one of them is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QModelIndex, Qt, Signal
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.models.adapters import SOURCES
from app.models.others import (
    Others,
    OthersRoles,
    Thing,
    base_thing,
    base_verdict,
    mix_thing,
    mix_verdict,
)
from app.pages.library.view import Act, View, beside
from app.presenters.keeping import Keeping
from app.presenters.others import Bases, Mixes
from app.words import count, many, megabytes, percent
from engine.messages import MixCard
from widgets.card_list import CardList
from widgets.empty import Empty
from widgets.facts import Facts, plain_label
from widgets.flow import Flow
from widgets.icon_button import WordButton
from widgets.name_field import NameField
from widgets.verdict import Verdict

__all__ = ["BasesView", "MixesView"]


class OthersView(View):
    """A list of cards and their details. ``verbs`` are (name, drawing, words, act); the first needs none."""

    def __init__(
        self,
        keeping: Keeping,
        name: str,
        one: str,
        add: str,
        empty: Empty,
        verbs: Sequence[tuple[str, str, str, object]],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(keeping, parent)
        self._one, self._name = one, name
        self.rows = Others(self)
        self.cards = CardList(OthersRoles.FACE, f"{name}-cards", _several(one).capitalize(), self)
        self.cards.setModel(self.rows)
        self.cards.setDragEnabled(False)
        self._counted = plain_label("tiny")
        self.add = WordButton("folder", add, f"{name}-add", self)
        self.add.clicked.connect(self.choose_folder)
        self._empty = empty
        self.title = NameField(f"{name}-name", f"Name of the {one}", self)
        self.title.renamed.connect(lambda to: keeping.rename(keeping.state.chosen, to))
        self._verdict = Verdict(self)
        self._form = Facts(self)
        self.buttons = [self._button(*verb) for verb in verbs]
        self._compose()
        keeping.changed.connect(self._show_state)
        self.cards.selectionModel().currentChanged.connect(self._chosen)
        self.cards.activated.connect(lambda _: self.buttons[0].click())

    def regions(self) -> list[QWidget]:
        return [self.add, self.cards, self.details]

    @property
    def name(self) -> NameField:
        return self.title

    def acts(self) -> list[Act]:
        return [(f"{self.add.text()} to the library", "", self.choose_folder)]

    def choose_folder(self) -> None:
        """Ask for a folder and take it in."""
        folder = QFileDialog.getExistingDirectory(self, self.add.text())
        if folder:
            self.take_in(folder)

    def show_things(self, things: Sequence[Thing]) -> None:
        """All cards; the first is looked at when none is."""
        state = self.keeping.state
        self.rows.show(things)
        self._counted.setText(state.busy or count(len(things), self._one, _several(self._one)))
        self._stack.setCurrentIndex(0 if things else 1 if state.known else 2)
        self.details.setVisible(bool(things))
        if things and not state.chosen:
            self.keeping.choose(things[0].name)
            return
        row = self.rows.row_of(state.chosen)
        if row >= 0 and self.cards.currentIndex().row() != row:
            self.cards.setCurrentIndex(self.rows.index(row))

    def show_details(self, verdict: tuple[str, str, str], facts: Mapping[str, str]) -> None:
        """What the chosen one is."""
        state = self.keeping.state
        word, token, why = verdict
        self.title.show_name(state.chosen)
        self._verdict.say(token, f"{word}: {why}" if why else word)
        self._form.fill({what: value for what, value in facts.items() if value})
        for button in self.buttons:
            button.setEnabled(not state.busy)

    def _show_state(self) -> None:
        raise NotImplementedError

    def _button(self, verb: str, drawing: str, words: str, act: object) -> QPushButton:
        name = f"{self._name}-{verb}"
        if drawing:
            button: QPushButton = WordButton(drawing, words, name, self)
        else:
            button = QPushButton(words, self, objectName=name, accessibleName=words)
            button.setProperty("role", "primary")
        button.clicked.connect(lambda: act(self.keeping.state.chosen))
        return button

    def _chosen(self, index: QModelIndex) -> None:
        if index.isValid():
            self.keeping.choose(index.data(OthersRoles.NAME))

    def _compose(self) -> None:
        tools = QHBoxLayout()
        tools.setContentsMargins(8, 0, 8, 0)
        tools.addWidget(self._counted)
        tools.addStretch(1)
        tools.addWidget(self.add)
        self._stack = QStackedWidget(self)
        for widget in (self.cards, self._empty, QWidget(self)):
            self._stack.addWidget(widget)
        left = QWidget(self)
        column = QVBoxLayout(left)
        column.setContentsMargins(16, 16, 8, 0)
        column.setSpacing(8)
        column.addLayout(tools)
        column.addWidget(self._stack, 1)
        sheet = QWidget(self)
        inside = QVBoxLayout(sheet)
        inside.setContentsMargins(24, 20, 24, 24)
        inside.setSpacing(12)
        row = QWidget(sheet)
        verbs = Flow(8, row)
        for button in self.buttons:
            verbs.addWidget(button)
        for widget in (self.title, self._verdict, row, self._form):
            inside.addWidget(widget)
        inside.addStretch(1)
        self.details = QScrollArea(self, widgetResizable=True, objectName=f"{self._name}-details")
        self.details.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.details.setWidget(sheet)
        splitter = QSplitter(Qt.Orientation.Horizontal, self, objectName=f"{self._name}-splitter")
        beside(self, splitter, left, self.details)


class BasesView(OthersView):
    """Signals: ``base_chosen(name)``: the window is to use it; ``adapters_wanted(name)``: find what is made
    for it; ``address_wanted(repo)``: its page in Discover."""

    base_chosen = Signal(str)
    adapters_wanted = Signal(str)

    def __init__(self, bases: Bases, parent: QWidget | None = None) -> None:
        self.bases = bases
        empty = Empty(
            "library",
            "No base models",
            "A base model is what adapters are made for. Add the folder of a transformers model, or find one "
            "in Discover.",
            "Add a folder",
            "bases-empty",
        )
        verbs = (
            ("use", "", "Use this base", lambda name: self.base_chosen.emit(name)),
            ("find", "search", "Find adapters", lambda name: self.adapters_wanted.emit(name)),
            ("provenance", "info", "Provenance", bases.trace),
            ("remove", "trash", "Remove", bases.remove),
        )
        super().__init__(bases, "bases", "base model", "Add a folder", empty, verbs, parent)
        empty.pressed.connect(self.choose_folder)
        self._show_state()

    def take_in(self, path: str) -> None:
        self.bases.take_in(path)

    def _show_state(self) -> None:
        state, card = self.bases.state, self.bases.state.card
        if card is not None:
            facts = {
                "Architecture": card.architecture,
                "Parameters": many(card.parameters),
                "Size": megabytes(card.bytes) if card.bytes else "",
                "Source": SOURCES.get(card.source, card.source),
                "Repository": f"{card.repo} at {card.commit[:12]}" if card.repo else "",
                "Folder": "part of the starter pack" if card.source == "starter" else card.path,
            }
            self.show_details(base_verdict(card, state.fits), facts)
            self.buttons[0].setEnabled(not card.missing and card.name != state.base)
        self.show_things([base_thing(card, state.fits, state.base) for card in state.cards])


class MixesView(OthersView):
    """Signals: ``mix_wanted(name)``: onto the desk with it; "" for the mixer itself."""

    mix_wanted = Signal(str)

    def __init__(self, mixes: Mixes, parent: QWidget | None = None) -> None:
        self.mixes = mixes
        empty = Empty(
            "mixer",
            "No mixes yet",
            "A mix is several adapters and a router that learned who speaks when. Train one on the mixer, or "
            "import the folder of one.",
            "Open the mixer",
            "mixes-empty",
        )
        verbs = (
            ("play", "", "Open in the mixer", lambda name: self.mix_wanted.emit(name)),
            ("provenance", "info", "Provenance", mixes.trace),
            ("remove", "trash", "Remove", mixes.remove),
        )
        super().__init__(mixes, "mixes", "mix", "Import a folder", empty, verbs, parent)
        empty.pressed.connect(lambda: self.mix_wanted.emit(""))
        self._show_state()

    def take_in(self, path: str) -> None:
        self.mixes.take_in(path)

    def _show_state(self) -> None:
        card = self.mixes.state.card
        if card is not None:
            usage = sorted(card.usage.items(), key=lambda pair: -pair[1])
            facts = {
                "Base": card.base,
                "Experts": ", ".join(_at_its_rank(name, card) for name in card.experts),
                "Speaks": ", ".join(f"{name} {percent(share)}" for name, share in usage),
                "Router": f"{card.router_input}, one gate per {card.router_share}, "
                f"{count(card.router_parameters, 'parameter')}",
                "Made": card.made,
                "Folder": card.path,
            }
            self.show_details(mix_verdict(card), facts)
            self.buttons[0].setEnabled(not card.missing)
        self.show_things([mix_thing(card) for card in self.mixes.state.cards])


def _at_its_rank(name: str, card: MixCard) -> str:
    """An expert and the highest rank of the copy that the mix has of it."""
    return f"{name} (rank {card.ranks[name][1]})" if name in card.ranks else name


def _several(one: str) -> str:
    return "mixes" if one == "mix" else f"{one}s"

"""The ranks page: slide the rank of one adapter and see what it says, how good it is and what it costs."""

from __future__ import annotations

from PySide6.QtCore import QSettings, Qt
from PySide6.QtGui import QAction, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QHBoxLayout, QMenu, QSplitter, QStackedLayout, QWidget

from app.client import Client
from app.models.adapters import MIME
from app.pages.page import Page
from app.pages.ranks.head import RanksHead
from app.pages.ranks.instrument import Instrument
from app.pages.ranks.making import RankMakingForm
from app.pages.ranks.side import Side
from app.pages.ranks.spectrum import SpectrumView
from app.pages.ranks.training import RankTrainingForm
from app.presenters.rank_curve import RankCurves
from app.presenters.rank_making import RankMaking
from app.presenters.rank_training import RankTraining
from app.presenters.ranks import Ranks
from widgets.empty import Empty
from widgets.tab_order import order

__all__ = ["RanksPage"]

WHAT_FOR = (
    "An adapter has a rank: how many directions it may use. Slide it and watch the answer change, beside the "
    "base and the ranks you pin."
)
NOBODY = "No adapter of the library plays on {base}. Train one that works at every rank."


class RanksPage(Page):
    """One adapter of the library, chosen in ``head`` or dropped here, between its ranks."""

    def __init__(self, client: Client, settings: QSettings, parent: QWidget | None = None) -> None:
        super().__init__("ranks", "Ranks", parent)
        self.setAcceptDrops(True)
        self.ranks = Ranks(client, settings, self)
        self.curves = RankCurves(client, self.ranks, settings, self)
        self.training = RankTraining(client, self.ranks, self)
        self.making = RankMaking(client, self.ranks, self)
        self.head = RanksHead(self.ranks)
        self.empty = Empty("ranks", "Slide a rank", WHAT_FOR, "Choose an adapter", "ranks.empty")
        self.instrument = Instrument(self.ranks, self.curves)
        self.side = Side(
            {
                "spectrum": SpectrumView(self.ranks),
                "training": RankTrainingForm(self.training),
                "making": RankMakingForm(self.making),
            }
        )
        self._slides: list[QAction] = []
        self._of_adapter: list[QAction] = []
        self._compose()
        self._connect()
        self._offer_acts()
        self._show()

    def _compose(self) -> None:
        middle = QWidget()
        self._stack = QStackedLayout(middle)
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self.instrument)
        split = QSplitter(Qt.Orientation.Horizontal, objectName="ranks.split")
        split.addWidget(middle)
        split.addWidget(self.side)
        split.setCollapsible(0, False)
        split.setStretchFactor(0, 1)
        split.setStretchFactor(1, 0)
        split.setSizes([904, 320])
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(split)

    def _connect(self) -> None:
        for presenter in (self.ranks, self.curves, self.training, self.making):
            presenter.noticed.connect(self.noticed)
            presenter.announced.connect(self.announce)
        self.ranks.changed.connect(self._show)
        self.empty.pressed.connect(self._choose)

    def _offer_acts(self) -> None:
        ranks, slider = self.ranks, self.instrument.slider
        by_key = Qt.FocusReason.ShortcutFocusReason
        self._of_adapter = [
            self.offer(words, keys, act)
            for words, keys, act in (
                ("Write a prompt", "Ctrl+L", lambda: self.instrument.prompt.field.setFocus(by_key)),
                ("Go to the rank slider", "Ctrl+R", lambda: slider.setFocus(by_key)),
                ("One rank more", "Ctrl+Right", lambda: slider.step(1)),
                ("One rank less", "Ctrl+Left", lambda: slider.step(-1)),
                ("Pin the live rank", "Ctrl+P", lambda: ranks.pin(ranks.state.rank)),
                ("Unpin the last rank", "Ctrl+Shift+P", self._unpin_last),
            )
        ]
        for words, keys, act in (
            ("Choose an adapter", "Ctrl+E", self._choose),
            ("Spectrum", "Alt+1", lambda: self.side.show_part("spectrum")),
            ("Train an adapter for every rank", "Alt+2", lambda: self._open("training")),
            ("Bake, order or export", "Alt+3", lambda: self._open("making")),
        ):
            self.offer(words, keys, act)

    # --- verbs ---

    def choose(self, adapter: str) -> None:
        """Slide the rank of an adapter, as soon as the library says that it is there."""
        self.ranks.choose(adapter)

    def regions(self) -> list[QWidget]:
        middle = self.instrument
        shown = (
            [middle.prompt, middle.panes, middle.slider, middle.charts]
            if self.ranks.state.adapter
            else [self.empty]
        )
        return [*shown, self.side, self.head]

    def use_base(self, base: str) -> None:
        self.ranks.use_base(base)

    def undo(self) -> None:
        self.ranks.undo()

    def redo(self) -> None:
        self.ranks.redo()

    def focusNextPrevChild(self, is_next: bool) -> bool:
        order(self)
        return super().focusNextPrevChild(is_next)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasFormat(MIME):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        event.acceptProposedAction()
        self.choose(bytes(event.mimeData().data(MIME).data()).decode())

    # --- inside ---

    def _show(self) -> None:
        state = self.ranks.state
        is_there = state.adapter is not None
        self._stack.setCurrentWidget(self.instrument if is_there else self.empty)
        for action in self._of_adapter:
            action.setEnabled(is_there)
        words = WHAT_FOR if state.adapters else f"{WHAT_FOR} {NOBODY.format(base=state.base or 'the base')}"
        self.empty.say("Slide a rank", words)
        self.empty.button.setText("Choose an adapter" if state.adapters else "Train an adapter")
        names = [card.name for card in state.adapters]
        if [action.data() for action in self._slides] != names:
            for action in self._slides:
                self.removeAction(action)
            self._slides = [self._slide_act(name) for name in names]

    def _slide_act(self, name: str) -> QAction:
        action = QAction(f"Slide the rank of {name}", self)
        action.setData(name)
        action.triggered.connect(lambda _=False: self.choose(name))
        self.addAction(action)
        return action

    def _choose(self) -> None:
        """Offer the adapters that play on the base; without any, the training of one."""
        if not self._slides:
            self.side.show_part("training")
            return
        menu = QMenu(self)
        for card in self.ranks.state.adapters:
            menu.addAction(f"{card.name}  rank {card.rank}", lambda name=card.name: self.choose(name))
        menu.aboutToHide.connect(menu.deleteLater)
        place = self.head.adapter if self.ranks.state.adapter else self.empty.button
        menu.popup(place.mapToGlobal(place.rect().bottomLeft()))

    def _open(self, form: str) -> None:
        """Show a form with the keyboard in it."""
        self.side.show_part(form)
        self.side.choice.buttons[form].setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _unpin_last(self) -> None:
        if self.ranks.state.pinned:
            self.ranks.unpin(self.ranks.state.pinned[-1])

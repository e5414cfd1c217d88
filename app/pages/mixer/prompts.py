"""Prompts side by side: who speaks where in each, where they part, and why at one token."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStackedLayout,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.pages.fields import fill, heading, narrow
from app.pages.mixer.prompt_column import PromptColumn
from app.pages.mixer.prompts_apart import ApartPane
from app.pages.mixer.view import View
from app.pages.mixer.why import WhyPane
from app.presenters.mixer import Mixer
from app.presenters.prompts import FEWEST, MOST, Prompts
from app.presenters.stock import HELD_OUT
from engine.messages import DataSet
from widgets.choice import Choice
from widgets.empty import Empty
from widgets.gate_grid import EACH, MEAN

__all__ = ["PromptsView"]

WHY = 300
WAYS = {
    "maps": ("Maps", "Every token of every prompt"),
    "apart": ("Differences", "Mean gates side by side, and how far the prompts are apart"),
}
NO_ROUTER = "No router plays on the desk"
WHAT_FOR = (
    "Here one router reads several prompts, and you see who speaks where in each and where they part. "
    "Open a mix on the desk, or train its router."
)


class PromptsView(View):
    """Compare how the mix on the desk routes two to four prompts."""

    def __init__(self, mixer: Mixer) -> None:
        super().__init__()
        self.setObjectName("mixer.prompts")
        self._mixer = mixer
        self.prompts = Prompts(mixer.client, lambda: mixer.playing, self)
        self.columns: list[PromptColumn] = []
        self.way = Choice("mixer.prompts.way", "Compare as", WAYS)
        self.view = narrow(QComboBox(objectName="mixer.prompts.view", accessibleName="Projections shown"))
        self.view.setMinimumWidth(168)
        for button in self.way.buttons.values():
            button.setMinimumWidth(104)
        self.add = QPushButton("Add a prompt", objectName="mixer.prompts.add")
        self.apart = ApartPane(self.prompts, mixer.hue)
        self._sentence = QLabel(objectName="mixer.prompts.sentence", wordWrap=True)
        self._read = QLabel(objectName="mixer.prompts.read", wordWrap=True)
        self._read.setProperty("role", "tiny")
        self._read.setMinimumHeight(32)
        self.why = WhyPane("mixer.prompts.why", mixer)
        self._explained = (-1, 0)
        self._compose()
        self._connect()
        self._lay()

    def regions(self) -> list[QWidget]:
        return [*self.columns, self.way, self.apart.bands, self.why]

    def acts(self) -> list[tuple[str, str, Callable[[], object]]]:
        return [
            ("Write the prompts to compare", "Ctrl+Shift+L", self._write_first),
            ("Add a prompt", "Ctrl+Shift+N", self.prompts.add),
            ("Show where the prompts are routed differently", "", lambda: self._show_way("apart")),
        ]

    def _write_first(self) -> None:
        self.columns[0].field.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _compose(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(heading("Prompts, read by one router"))
        head.addStretch(1)
        for part in (self.way, self.view, self.add):
            head.addWidget(part)
        self._row = QHBoxLayout()
        self._row.setSpacing(16)
        maps = QWidget()
        maps.setLayout(self._row)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._stack = QStackedWidget()
        self._stack.addWidget(maps)
        self._stack.addWidget(self.apart)
        left = QVBoxLayout()
        left.setContentsMargins(16, 16, 16, 16)
        left.setSpacing(8)
        left.addLayout(head)
        left.addWidget(self._sentence)
        left.addWidget(self._stack, 1)
        left.addWidget(self._read)
        line = QFrame()
        line.setProperty("role", "upright")
        self._aside = QWidget()
        aside = QHBoxLayout(self._aside)
        aside.setContentsMargins(0, 0, 0, 0)
        aside.setSpacing(0)
        aside.addWidget(line)
        aside.addWidget(self.why)
        self._aside.setFixedWidth(WHY)
        self._aside.hide()
        comparison = QWidget()
        whole = QHBoxLayout(comparison)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addLayout(left, 1)
        whole.addWidget(self._aside)
        self._front = QStackedLayout(self)
        empty = Empty("mixer", NO_ROUTER, WHAT_FOR, "Go to the desk", "mixer.prompts.empty")
        empty.pressed.connect(self.desk_wanted)
        self._front.addWidget(empty)
        self._front.addWidget(comparison)

    def _connect(self) -> None:
        self.prompts.changed.connect(self._lay)
        self.prompts.routed.connect(self._routed)
        self.add.clicked.connect(lambda: self.prompts.add())
        self.way.chosen.connect(self._show_way)
        self.view.activated.connect(self._show_view)
        self.apart.bands.read.connect(lambda words: self._say("apart", words))
        self.why.closed.connect(self._close)
        self._mixer.desk_changed.connect(self._desk_changed)

    # which prompts stand here

    def _lay(self) -> None:
        count = len(self.prompts.slots)
        while len(self.columns) > count:
            column = self.columns.pop()
            self._row.removeWidget(column)
            column.hide()
            column.deleteLater()
        while len(self.columns) < count:
            self._row.addWidget(self._column(len(self.columns)), 1)
        for column in self.columns:
            column.remove.setVisible(count > FEWEST)
        self.add.setEnabled(count < MOST)
        self._show()

    def _column(self, place: int) -> PromptColumn:
        column = PromptColumn(place, self._mixer.hue, self._sets)
        column.written.connect(lambda text: self.prompts.write(place, text))
        column.removed.connect(lambda: self.prompts.remove(place))
        column.map.cell_changed.connect(lambda words: self._say("maps", words))
        column.map.opened.connect(lambda token: self._explain(place, token))
        column.map.token_selected.connect(lambda token: self._explain_on(place, token))
        column.map.verticalScrollBar().valueChanged.connect(self._scroll_together)
        column.map.horizontalScrollBar().rangeChanged.connect(self._align)
        self.columns.append(column)
        return column

    def _sets(self) -> list[DataSet]:
        """Starter sets, the held-out ones first, and the file that is trained on."""
        mixer = self._mixer
        sets = sorted(mixer.stock.sets, key=lambda data: not data.name.endswith(HELD_OUT))
        return sets if mixer.data is None or mixer.data in sets else [*sets, mixer.data]

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._desk_changed()

    def _desk_changed(self) -> None:
        """Follow the desk while this can be seen: nobody waits for maps behind another view."""
        if not self.isVisible():
            return
        mixer = self._mixer
        self._front.setCurrentIndex(1 if mixer.playing.has_router else 0)
        if mixer.playing.has_router:
            self.prompts.suggest(mixer.examples)
        self.prompts.settle()
        for column in self.columns:
            column.map.set_silent(mixer.playing.silent)

    # what they say

    def _routed(self, place: int) -> None:
        self._show()
        if place == self._explained[0]:
            self._explain_on(*self._explained)

    def _show(self) -> None:
        for column, slot in zip(self.columns, self.prompts.slots, strict=True):
            column.show_slot(slot)
        self._offer_views()
        self._show_view()
        apart = self.prompts.apart
        self._sentence.setText(apart.sentence if apart else "")
        is_old = any(slot.is_stale for slot in self.prompts.slots)
        self._sentence.setProperty("role", "dim" if is_old else "")
        self._sentence.style().polish(self._sentence)
        self._sentence.setVisible(apart is not None)
        for button in self.way.buttons.values():
            button.setEnabled(apart is not None)
        if apart is None:
            self._show_way("maps")

    def _offer_views(self) -> None:
        names = dict.fromkeys(name for column in self.columns for name in column.map.projections)
        views = [("Mean of each layer", MEAN), ("Each projection", EACH), *((name, name) for name in names)]
        chosen = str(self.view.currentData() or EACH)
        fill(self.view, views, chosen if chosen in (MEAN, EACH, *names) else EACH)

    def _show_view(self) -> None:
        view = str(self.view.currentData())
        for column in self.columns:
            column.map.set_view(view)
        self.apart.draw(view)

    def _show_way(self, way: str) -> None:
        self.way.choose(way)
        self._stack.setCurrentIndex(list(WAYS).index(way))
        self._read.setText(self.apart.bands.words if way == "apart" else self.columns[0].map.cell_text)

    def _say(self, way: str, words: str) -> None:
        """What is read where a person looks; the other way of comparing keeps its words to itself."""
        if way == self.way.value:
            self._read.setText(words)

    def _scroll_together(self, value: int) -> None:
        for column in self.columns:
            column.map.verticalScrollBar().setValue(value)

    def _align(self) -> None:
        """Rows of all maps stand at one height: where one must scroll, all keep room for the bar."""
        is_wide = any(column.map.horizontalScrollBar().maximum() for column in self.columns)
        policy = Qt.ScrollBarPolicy
        for column in self.columns:
            column.map.setHorizontalScrollBarPolicy(
                policy.ScrollBarAlwaysOn if is_wide else policy.ScrollBarAsNeeded
            )

    # why, at one token

    def _explain(self, place: int, token: int) -> None:
        routing = self.prompts.slots[place].routing
        if routing is not None:
            self._explained = (place, token)
            self.why.show_token(routing, token, f", prompt {place + 1}")
            self._aside.show()

    def _explain_on(self, place: int, token: int) -> None:
        if self._aside.isVisible():
            self._explain(place, token)

    def _close(self) -> None:
        self._aside.hide()
        if 0 <= self._explained[0] < len(self.columns):
            self.columns[self._explained[0]].map.setFocus(Qt.FocusReason.OtherFocusReason)

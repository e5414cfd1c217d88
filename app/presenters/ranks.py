"""The ranks page: one adapter, one prompt, a rank that slides under its answer, ranks pinned beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import QObject, QSettings, Signal

from app.client import Client
from app.presenters.agreement import Agreement, agreements
from app.presenters.answers import Answers
from app.presenters.history import History
from app.presenters.notice import Notice, from_error
from app.presenters.rank_facts import RankFacts
from app.presenters.rank_questions import RankQuestions
from app.presenters.rank_scene import (
    LIVE,
    MOST_PINNED,
    RanksState,
    Remembered,
    Scene,
    files_of,
    opening,
    state_of,
)
from app.presenters.rank_shelf import RankShelf
from app.presenters.stock import HELD_OUT, Stock
from app.words import count
from engine.messages import Error, LibraryChanged, RankOrder, WarmUp

__all__ = ["Ranks"]

SAVED = "ranks"
SLIDE = "slide"


class Ranks(QObject):
    """``state`` is what the page shows, ``answers`` what its ``panes`` say, ``facts`` what is known of the
    adapter.

    ``changed``: another state; ``slid(rank)``: the live rank moved, many a second; ``noticed(Notice)``;
    ``announced(sentence)``: for those who listen.
    """

    changed = Signal()
    slid = Signal(int)
    noticed = Signal(object)
    announced = Signal(str)

    def __init__(
        self, client: Client, settings: QSettings | None = None, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._client = client
        self._settings = settings
        self._remembered = Remembered.from_json(str(settings.value(SAVED, "")) if settings else "")
        self._history = History(Scene())
        self._base = ""
        self._warm = ""
        self._prompt = self._remembered.prompt
        self._is_comparable = False
        self._has_asked = False
        self.state = RanksState(prompt=self._prompt)
        self.stock = Stock(client, self)
        self.shelf = RankShelf(self.stock)
        self.facts = RankFacts(client, self)
        self.answers = Answers(client, self)
        self.questions = RankQuestions(self.answers, self)
        self._connect()

    def _connect(self) -> None:
        self.stock.changed.connect(self._rebuild)
        self.stock.failed.connect(self.complain)
        self.facts.changed.connect(self.changed)
        self.facts.failed.connect(self.complain)
        self.answers.started.connect(self._started)
        self._client.welcomed.connect(self._welcomed)
        self._client.happened.connect(self._on_event)
        if self._client.engine.phase == "ready":
            self.stock.refresh()

    # --- what there is ---

    @property
    def scene(self) -> Scene:
        return self._history.now

    @property
    def panes(self) -> list[str]:
        """The keys of the answers that stand side by side, from left to right."""
        return self.scene.panes if self.state.adapter else []

    @property
    def difference(self) -> dict[str, Agreement]:
        """How each pane goes beside the live one."""
        answers = {pane: self.answers.answer(pane) for pane in self.panes}
        if LIVE not in answers or not self._is_comparable:
            return {pane: Agreement() for pane in answers}
        return agreements(answers, LIVE)

    @property
    def examples(self) -> list[str]:
        """Prompts to try: of a starter adapter, what it has never met."""
        name = f"{self.scene.adapter}{HELD_OUT}"
        rows = [row for data in self.stock.sets if data.name == name for row in data.sample]
        return [prompt for prompt, _ in sorted(rows, key=lambda row: len(row[0]))[:3]]

    def energy(self, rank: int) -> float | None:
        """The share of its energy that the adapter keeps at ``rank``, 0..1; None where nobody knows."""
        return self.facts.energy(self.scene.order, rank)

    # --- verbs ---

    def use_base(self, base: str) -> None:
        """Another base: what stood on the page with it, as it was left."""
        if base == self._base:
            return
        self._remember()
        self._base = base
        self._history = History(self._remembered.scenes.get(base, Scene()))
        self.questions.clear()
        self.stock.judge(base)
        self._rebuild()

    def choose(self, adapter: str) -> None:
        """Slide the rank of another adapter, as soon as the library says that it is there."""
        if adapter in self.stock.adapters:
            self._choose(adapter)
        else:
            self.stock.list_adapters(lambda: self._choose(adapter))

    def set_order(self, order: RankOrder) -> None:
        """Keep other columns at each rank."""
        if order in self.state.orders:
            self._is_comparable = False
            self._change(replace(self.scene, order=order), "Order of the ranks")

    def slide(self, rank: int) -> None:
        """Move the live rank; movements until ``settle`` are one step to undo."""
        rank = min(max(rank, self.state.low), self.state.highest)
        if self._history.record(replace(self.scene, rank=rank), f"Slide to rank {rank}", merge=SLIDE):
            self.state = replace(self.state, rank=rank)
            self.slid.emit(rank)
            self._ask_anew()

    def settle(self) -> None:
        """The hand has left the slider."""
        self._history.seal()
        self._remember()

    def pin(self, rank: int) -> None:
        """Keep the answer at ``rank`` beside the live one."""
        pinned = self.scene.pinned
        if rank in pinned or not self.state.low <= rank <= self.state.highest:
            return
        if len(pinned) == MOST_PINNED:
            self.noticed.emit(Notice("info", f"{MOST_PINNED} ranks are pinned already.", "Unpin one first."))
            return
        self._change(replace(self.scene, pinned=(*pinned, rank)), f"Pin rank {rank}")
        self.announced.emit(f"Rank {rank} pinned, {count(len(self.panes), 'answer')} side by side")

    def unpin(self, rank: int) -> None:
        pinned = tuple(pin for pin in self.scene.pinned if pin != rank)
        if self._change(replace(self.scene, pinned=pinned), f"Unpin rank {rank}"):
            self.announced.emit(f"Rank {rank} unpinned")

    def repin(self, rank: int, other: int) -> None:
        """Let a pinned pane stand for another rank: the first from ``other`` on that is not pinned yet."""
        step = 1 if other > rank else -1
        while other in self.scene.pinned:
            other += step
        if rank in self.scene.pinned and self.state.low <= other <= self.state.highest:
            self._change(self.scene.repinned(rank, other), f"Pin rank {other} in the place of {rank}")

    def ask(self, prompt: str) -> None:
        """Put ``prompt`` to every pane; a second time, to those that could not answer."""
        self._is_comparable = self._is_comparable and prompt == self._prompt
        self._prompt = prompt
        self._rebuild()
        self._remember()
        self.questions.ask_again()
        self._ask_anew()

    @property
    def undo_label(self) -> str:
        return self._history.undo_label

    @property
    def redo_label(self) -> str:
        return self._history.redo_label

    def undo(self) -> None:
        self._step(self._history.undo, f"Undone: {self.undo_label}")

    def redo(self) -> None:
        self._step(self._history.redo, f"Done again: {self.redo_label}")

    def complain(self, error: Error) -> None:
        """Say that the engine failed at something."""
        if error.code != "cancelled":
            self.noticed.emit(from_error(error))

    # --- inside ---

    def _step(self, step: Callable[[], bool], words: str) -> None:
        if step():
            self._scene_replaced()
            self.announced.emit(words)

    def _choose(self, adapter: str) -> None:
        card = self.stock.adapters.get(adapter)
        if card is None:
            words = f"The library has no adapter called {adapter}."
            self.noticed.emit(Notice("warn", words, "Import it on its page."))
            return
        reason = self.shelf.why_not(card, self._base)
        if reason:
            self.noticed.emit(Notice("warn", reason, "Choose its base at the top, or another adapter."))
            return
        if adapter != self.scene.adapter:
            self._change(opening(card), f"Slide {adapter}")
            self.announced.emit(f"The ranks of {adapter}, {card.low} to {card.rank}")

    def _change(self, scene: Scene, label: str) -> bool:
        if is_changed := self._history.record(scene, label):
            self._scene_replaced()
        return is_changed

    def _scene_replaced(self) -> None:
        before = self.state
        self._is_comparable = self._is_comparable and before.order == self.scene.order
        self._rebuild()
        self._remember()
        if before.rank != self.state.rank:
            self.slid.emit(self.state.rank)
        self._warm_up()
        self._ask_anew()

    def _rebuild(self) -> None:
        """Work out the state anew from the scene and from what the engine has said."""
        before = self.state.adapter if self.state.base == self._base else None
        card = self.shelf.find(self.scene.adapter, self._base)
        if notice := self.shelf.farewell(self.scene.adapter, before, card, self._base):
            self.noticed.emit(notice)
        self.facts.read(card)
        if card is not None:
            self._history.now = self.scene.fitting(card)
        state = state_of(self._base, self._prompt, self.scene, card, self.shelf.playable(self._base))
        is_other = files_of(before) != files_of(card)
        if is_other:
            self.questions.clear()
        if state != self.state:
            self.state = state
            self.changed.emit()
        if is_other and self._has_asked:
            self._ask_anew()

    def _ask_anew(self) -> None:
        if self._prompt.strip() and self.state.adapter is not None:
            self._has_asked = True
            self.questions.ask(self._base, self._prompt, self.scene, self.state.adapter)

    def _started(self, pane: str) -> None:
        if pane == LIVE:
            self._is_comparable = True

    def _welcomed(self) -> None:
        self._warm = ""
        self.stock.refresh()
        if self.questions.ask_again_what_was_cut_off():
            self._ask_anew()

    def _on_event(self, event: object) -> None:
        if isinstance(event, LibraryChanged) and event.what == "bases":
            self.questions.forget()

    def _remember(self) -> None:
        scenes = dict(self._remembered.scenes)
        if self._base:
            scenes[self._base] = self.scene
        remembered = Remembered(prompt=self._prompt, scenes=scenes)
        if remembered != self._remembered:
            self._remembered = remembered
            if self._settings is not None:
                self._settings.setValue(SAVED, remembered.to_json())

    def _warm_up(self) -> None:
        if self._base and self.state.adapter is not None and self._warm != self._base:
            self._warm = self._base
            self._client.ask(WarmUp(base=self._base), None, self.complain)

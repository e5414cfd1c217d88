"""The answers side by side: the base, the pinned ranks and the live one, between draggable handles."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QSplitter, QWidget

from app.pages.ranks.pane import RankPane
from app.presenters.answer import Spoken
from app.presenters.answers import BASE
from app.presenters.rank_scene import LIVE, rank_of
from app.presenters.ranks import Ranks

__all__ = ["Panes"]

GAP = 17


class Panes(QSplitter):
    """``panes`` by the presenter's keys, from left to right. A pinned pane keeps its widget while a hand
    changes its rank, so that the keyboard stays in it."""

    def __init__(self, ranks: Ranks, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._ranks = ranks
        self._made = 0
        self.panes: dict[str, RankPane] = {}
        self.setObjectName("ranks.split.panes")
        self.setAccessibleName("Answers")
        self.setChildrenCollapsible(False)
        self.setHandleWidth(GAP)
        self.setStyleSheet(f"QSplitter::handle:horizontal {{ margin: 0 {GAP // 2}px }}")
        answers = ranks.answers
        answers.started.connect(self._started)
        answers.spoke.connect(self._spoke)
        answers.changed.connect(self._changed)
        ranks.changed.connect(self.show_state)
        ranks.slid.connect(self._show_live)
        self.show_state()

    def show_state(self) -> None:
        """As many panes as the presenter has, each of its rank."""
        keys = self._ranks.panes
        if list(self.panes) != keys:
            self._arrange(keys)
        for key in keys:
            self._show_rank(key)
        self._compare()

    def _arrange(self, keys: list[str]) -> None:
        kept = {key: self.panes.pop(key) for key in keys if key in self.panes}
        idle = [pane for pane in self.panes.values() if pane.kind == "pinned"]
        found: dict[str, RankPane] = {}
        for key in keys:
            found[key] = kept.get(key) or (
                idle.pop(0) if idle and rank_of(key) is not None else self._new(key)
            )
        for pane in [pane for pane in self.panes.values() if pane not in found.values()]:
            pane.hide()
            pane.setParent(None)
            pane.deleteLater()
        widths = self.sizes()
        is_same = len(widths) == len(keys)
        self.panes = found
        for place, (key, pane) in enumerate(found.items()):
            if self.widget(place) is not pane:
                self.insertWidget(place, pane)
            if key not in kept:
                pane.show_answer(self._ranks.answers.answer(key))
        self.setSizes(widths if is_same else [self.width() // max(1, len(keys))] * len(keys))

    def _new(self, key: str) -> RankPane:
        kind = key if key in (BASE, LIVE) else "pinned"
        self._made += 1
        pane = RankPane(kind, kind if kind != "pinned" else f"pin-{self._made}")
        pane.pin_wanted.connect(lambda: self._ranks.pin(self._ranks.state.rank))
        pane.unpin_wanted.connect(lambda: self._ranks.unpin(self._rank(pane)))
        pane.moved.connect(lambda rank: self._ranks.repin(self._rank(pane), rank))
        return pane

    def _rank(self, pane: RankPane) -> int:
        return next((rank_of(key) or 0 for key, other in self.panes.items() if other is pane), 0)

    def _show_rank(self, key: str) -> None:
        state = self._ranks.state
        rank = state.rank if key == LIVE else rank_of(key)
        energy = None if rank is None else self._ranks.energy(rank)
        self.panes[key].show_rank(rank, (state.low, state.highest), energy)
        self.panes[key].show_state(self._ranks.answers.answer(key))

    def _show_live(self) -> None:
        if LIVE in self.panes:
            self._show_rank(LIVE)

    # what they say

    def _started(self, key: str) -> None:
        if key in self.panes:
            self.panes[key].show_answer(self._ranks.answers.answer(key))
            self._compare()

    def _spoke(self, key: str, spoken: Spoken) -> None:
        if key in self.panes:
            self.panes[key].text.append_token(spoken.text)
            self._compare()

    def _changed(self, key: str) -> None:
        if key in self.panes:
            self.panes[key].show_state(self._ranks.answers.answer(key))
            self._compare()

    def _compare(self) -> None:
        for key, agreement in self._ranks.difference.items():
            if key in self.panes:
                self.panes[key].show_agreement(agreement)

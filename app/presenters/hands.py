"""What hands do to the desk: lay, move, fade, mute, solo, lock, set; every step can be taken back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import msgspec
from PySide6.QtCore import QObject, QSettings, Signal

from app.client import Client
from app.presenters.desk import LOUDEST, Desk
from app.presenters.history import History
from app.presenters.notice import Notice, from_error
from app.presenters.playing import listed
from app.presenters.stock import Stock
from engine.messages import AdapterCard, Error, RankOrder, WarmUp

__all__ = ["Hands"]

SAVED_DESK = "mixer/desk"
# Of these a rank is the file's own first columns; of the others the best ones are looked for.
IN_ORDER = ("dylora", "svd")


class Hands(QObject):
    """A desk that remembers what was done to it, and what the engine has to lay on it.

    ``desk_changed``: strips, faders, settings, data, mix, or what there is to choose from.
    ``noticed(Notice)``: something was refused or failed. ``announced(sentence)``: for those who listen.
    """

    desk_changed = Signal()
    noticed = Signal(object)
    announced = Signal(str)

    def __init__(self, client: Client, store: QSettings | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.client = client
        self._store = store
        self._history = History(self._saved_desk())
        self._warm = ""
        self.base = ""
        self.stock = Stock(client, self)
        self.stock.failed.connect(self.complain)
        self.stock.judge(self.desk.base)

    @property
    def desk(self) -> Desk:
        return self._history.now

    def hue(self, expert: str) -> int:
        """The palette place of a voice; -1 for the null expert and for those not on the desk."""
        strip = self.desk.strip(expert)
        return -1 if strip is None else strip.hue

    def use_base(self, base: str) -> None:
        """The base that an empty desk is for."""
        if base != self.base:
            self.base = base
            self.stock.judge(self.desk.base or base)
            self.desk_changed.emit()

    def why_not(self, card: AdapterCard) -> tuple[str, str]:
        """Why an adapter cannot lie on this desk: the reason and what to do; empty where it can."""
        if card.missing:
            return f"The files of {card.name} are gone.", "Bring them back, or remove it in the library."
        base, fit = self.desk.base or self.base, self.stock.fits.get(card.name)
        is_strange = fit.verdict == "red" if fit else bool(base) and card.base != base
        if is_strange:
            made = f"{card.name} was made for {card.base or 'an unnamed base'}, the desk plays {base}."
            return (
                f"{card.name} does not fit {base}. {fit.reason}" if fit else made,
                "Clear the desk first, or choose an adapter for the same base."
                if self.desk.base
                else "Choose its base at the top, or an adapter for this one.",
            )
        return "", ""

    # laying

    def drop(self, adapter: str, slot: int | None = None) -> bool:
        """Put an adapter on the desk at ``slot`` (None: at the end), or move it. False when refused."""
        if self.desk.strip(adapter) is not None:
            if slot is not None:
                self.move(adapter, slot)
            else:
                self.noticed.emit(
                    Notice("info", f"{adapter} is on the desk already, {self._place_of(adapter)}.")
                )
            return True
        card = self.stock.adapters.get(adapter)
        if card is None:
            return self.refuse(
                f"The library has no adapter called {adapter}.", "Import it on the library page."
            )
        reason, advice = self.why_not(card)
        if reason:
            return self.refuse(reason, advice)
        slot = len(self.desk.strips) if slot is None else slot
        base, fit = self.desk.base or self.base or card.base, self.stock.fits.get(adapter)
        self.change(self.desk.dropped(adapter, slot, base), f"Add {adapter}")
        self._warm_up(base)
        self.announced.emit(f"{adapter} on the desk, {self._place_of(adapter)}")
        if fit is not None and fit.verdict == "amber":
            self.noticed.emit(
                Notice("warn", f"{adapter} is on the desk, but not certain to play.", fit.reason)
            )
        return True

    def lay_blank(self, name: str) -> bool:
        """Put an expert on the desk that is yet to be trained, together with the others."""
        if not name or name in {*self.desk.experts, *self.stock.adapters}:
            return self.refuse(
                f"There is an expert called {name} already." if name else "A new expert needs a name.",
                "Choose another name." if name else "Name it after what it is to learn.",
            )
        base = self.desk.base or self.base
        self.change(self.desk.dropped(name, len(self.desk.strips), base, blank=True), f"New expert {name}")
        self.announced.emit(f"{name}, yet to be trained, on the desk, {self._place_of(name)}")
        return True

    def _place_of(self, adapter: str) -> str:
        return f"channel {self.desk.experts.index(adapter) + 1} of {len(self.desk.strips)}"

    @property
    def starters(self) -> list[str]:
        """The adapters of the starter pack that fit on an empty desk."""
        cards = [card for card in self.stock.adapters.values() if card.source == "starter"]
        return [card.name for card in cards if self.why_not(card) == ("", "")]

    def lay_out_starters(self) -> None:
        """Put the starter pack's adapters on the desk, in one step."""
        desk = self.desk
        for name in [name for name in self.starters if desk.strip(name) is None]:
            desk = desk.dropped(name, len(desk.strips), self.base or self.stock.adapters[name].base)
        if self.change(desk, "Lay out the starter mix"):
            self._warm_up(desk.base)
            self.announced.emit(f"{listed(desk.experts)} on the desk")

    def remove(self, adapter: str) -> None:
        if self.desk.strip(adapter) is not None:
            self.change(self.desk.removed(adapter), f"Remove {adapter}")
            self.announced.emit(f"{adapter} removed from the desk")

    def move(self, adapter: str, slot: int) -> None:
        """Put a strip before the one now in ``slot``; the number of strips means the end."""
        if self.desk.strip(adapter) is None:
            return
        here = self.desk.experts.index(adapter)
        there = max(0, min(slot - (slot > here), len(self.desk.strips) - 1))
        if self.change(self.desk.moved(adapter, there), f"Move {adapter}"):
            self.announced.emit(f"{adapter} moved to channel {there + 1} of {len(self.desk.strips)}")

    def nudge(self, adapter: str, steps: int) -> None:
        """Move a strip by ``steps`` places, negative to the left."""
        if self.desk.strip(adapter) is not None:
            here = self.desk.experts.index(adapter)
            self.move(adapter, here + steps + (steps > 0))

    def swap(self, adapter: str, other: str) -> None:
        """Put ``other`` into the place, colour and state of ``adapter``."""
        strip = self.desk.strip(adapter)
        if strip is not None and self.desk.strip(other) is None:
            rank = {} if self._known(other) == self._known(adapter) else {"rank": None, "order": ""}
            desk = self.desk.edited(adapter, adapter=other, **rank)
            self.change(desk, f"Put {other} in the place of {adapter}")

    # setting

    def set_fader(self, adapter: str, level: float) -> None:
        """``level`` 0..2; movements until ``release`` are one step to undo."""
        level = min(LOUDEST, max(0.0, level))
        self.change(self.desk.edited(adapter, fader=level), f"Fader of {adapter}", merge=f"fader {adapter}")

    def ranks(self, adapter: str) -> tuple[int, int]:
        """The lowest and highest rank of an expert; (0, 0) of a blank one and where they are not known."""
        return self._known(adapter)[0]

    def set_rank(self, adapter: str, rank: int) -> None:
        """Play ``rank``, or the nearest that there is, of an expert; movements until ``release`` are one
        step."""
        desk = self._at_ranks(self.desk, {adapter: rank})
        self.change(desk, f"Rank of {adapter}", merge=f"rank {adapter}")

    def _keep_ranks(self) -> None:
        """What lies under a strip's name may be another adapter now: of fewer ranks, or in another order."""
        self._history.now = self._at_ranks(self.desk, {s.adapter: s.rank for s in self.desk.strips if s.rank})

    def _with_mix(self, desk: Desk, mix: str) -> Desk:
        """``desk`` with another mix on it, or none: its strips show the ranks that they showed, as far as
        what lies under their names now has them."""
        shown = {s.adapter: s.rank or self.stock.known(s.adapter, desk.mix)[0][1] for s in desk.strips}
        return self._at_ranks(replace(desk, mix=mix), {name: rank for name, rank in shown.items() if rank})

    def _at_ranks(self, desk: Desk, ranks: dict[str, int]) -> Desk:
        """``desk`` with these ranks, or the nearest that there are, in the order that each expert has."""
        for name, rank in ranks.items():
            (low, highest), kind = self.stock.known(name, desk.mix)
            if highest:
                order: RankOrder = "" if kind in IN_ORDER or rank >= highest else "energy"
                kept = None if rank >= highest else max(low, rank)
                desk = desk.edited(name, rank=kept, order=order)
        return desk

    def _known(self, adapter: str) -> tuple[tuple[int, int], str]:
        return self.stock.known(adapter, self.desk.mix)

    def release(self) -> None:
        """The hand has left a fader or a rank: what it does next is another step."""
        self._history.seal()

    def mute(self, adapter: str, on: bool) -> None:
        self.change(self.desk.edited(adapter, muted=on), f"{'Mute' if on else 'Unmute'} {adapter}")

    def solo(self, adapter: str, on: bool) -> None:
        self.change(self.desk.edited(adapter, soloed=on), f"{'Solo' if on else 'End solo of'} {adapter}")

    def lock(self, adapter: str, on: bool) -> None:
        self.change(self.desk.edited(adapter, locked=on), f"{'Lock' if on else 'Unlock'} {adapter}")

    def set_router(self, **changes: Any) -> None:
        """Other RouterSettings: how mixes are played and trained."""
        router = replace(self.desk.router, **changes)
        self.change(replace(self.desk, router=router), "Router settings", merge=f"router {sorted(changes)}")

    def set_joint(self, **changes: Any) -> None:
        """Other JointSettings: how experts and router are trained together."""
        joint = replace(self.desk.joint, **changes)
        self.change(replace(self.desk, joint=joint), "Training settings", merge=f"joint {sorted(changes)}")

    def set_lesson(self, lesson: Literal["router", "joint"]) -> None:
        """What is trained next: the router over frozen experts, or all of them together."""
        words = "Train together" if lesson == "joint" else "Train the router only"
        self.change(replace(self.desk, lesson=lesson), words)

    # taking back

    @property
    def undo_label(self) -> str:
        return self._history.undo_label

    @property
    def redo_label(self) -> str:
        return self._history.redo_label

    def undo(self) -> None:
        label = self._history.undo_label
        if self._history.undo():
            self._desk_replaced()
            self.announced.emit(f"Undone: {label}")

    def redo(self) -> None:
        label = self._history.redo_label
        if self._history.redo():
            self._desk_replaced()
            self.announced.emit(f"Done again: {label}")

    def change(
        self,
        desk: Desk,
        label: str,
        merge: str = "",
        back: Callable[[], None] | None = None,
        again: Callable[[], None] | None = None,
    ) -> bool:
        """Make ``desk`` the present, as one step; see History.record."""
        if not self._history.record(desk, label, merge, back, again):
            return False
        self._desk_replaced()
        return True

    def refuse(self, message: str, hint: str) -> bool:
        """Say that something cannot be done, and what can; always False."""
        self.noticed.emit(Notice("warn", message, hint))
        self.announced.emit(f"{message} {hint}")
        return False

    def complain(self, error: Error) -> None:
        """Say that the engine failed at something."""
        if error.code != "cancelled":
            self.noticed.emit(from_error(error))

    def _desk_replaced(self) -> None:
        self.stock.judge(self.desk.base or self.base)
        if self._store is not None:
            self._store.setValue(SAVED_DESK, self.desk.to_json())
        self.desk_changed.emit()

    def _saved_desk(self) -> Desk:
        text = str(self._store.value(SAVED_DESK, "")) if self._store is not None else ""
        if not text:
            return Desk()
        try:
            return Desk.from_json(text)
        except msgspec.DecodeError:
            # Written by another version; an empty desk is the honest start.
            return Desk()

    def _warm_up(self, base: str) -> None:
        if base != self._warm:
            self._warm = base
            self.client.ask(WarmUp(base=base), None, self.complain)

"""Adapters made of the one on the ranks page: baked at a rank, put in order, written elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.client import Client
from app.presenters.names import free_name
from app.presenters.notice import Notice, from_error
from app.presenters.ranks import Ranks
from app.presenters.spectrum_cut import sizes_of
from app.words import megabytes
from engine.messages import (
    AdapterCard,
    BakeRank,
    Body,
    DataSet,
    Error,
    ExportAdapter,
    OrderRanks,
    RanksOrdered,
    RemoveAdapter,
    Request,
    RestoreAdapter,
    Said,
)

__all__ = ["Made", "MakingPlan", "RankMaking"]

WHOLE = 1e-5


@dataclass(frozen=True)
class MakingPlan:
    """``baked`` and ``ordered`` are names of new adapters, "" for the proposed ones; ``data`` a path of rows
    that order by what projections say on them, "" to order by their weights; ``folder`` for an export."""

    baked: str = ""
    ordered: str = ""
    data: str = ""
    folder: str = ""


@dataclass(frozen=True)
class Made:
    """What came of it. ``card`` is the new adapter, None for an export; ``energies`` {what: share kept at
    rank 1, 2, ...} and ``notes`` those of an adapter that was put in order."""

    sentence: str
    path: str
    card: AdapterCard | None = None
    energies: tuple[tuple[str, tuple[float, ...]], ...] = ()
    notes: tuple[str, ...] = ()


class RankMaking(QObject):
    """``changed``: the plan, what is being made (``doing``, a sentence) or what was ``made``.
    ``noticed(Notice)``; ``announced(sentence)``: for readers."""

    changed = Signal()
    noticed = Signal(object)
    announced = Signal(str)

    def __init__(self, client: Client, ranks: Ranks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._client = client
        self.ranks = ranks
        self.plan = MakingPlan()
        self.doing = ""
        self.made: Made | None = None
        self._call = ""
        self._about = ""
        ranks.changed.connect(self._follow)
        ranks.slid.connect(self.changed)
        ranks.stock.changed.connect(self.changed)
        self._follow()

    # the plan

    def set(self, **changes: Any) -> None:
        """Another MakingPlan."""
        plan = replace(self.plan, **changes)
        if plan != self.plan:
            self.plan = plan
            self.changed.emit()

    def choose_data(self, path: str) -> None:
        """Order by what projections say on the file at ``path``, read to its end first; "" by weights."""
        if path:
            self.ranks.stock.read(path, lambda data: self.set(data=data.path))
        else:
            self.set(data="")

    @property
    def data(self) -> DataSet | None:
        return self.ranks.stock.data(self.plan.data) if self.plan.data else None

    @property
    def baked_name(self) -> str:
        state = self.ranks.state
        stem = f"{state.adapter.name}-r{state.rank}" if state.adapter is not None else ""
        return self.plan.baked.strip() or free_name(stem, self.ranks.stock.adapters)

    @property
    def ordered_name(self) -> str:
        state = self.ranks.state
        stem = f"{state.adapter.name}-ordered" if state.adapter is not None else ""
        return self.plan.ordered.strip() or free_name(stem, self.ranks.stock.adapters)

    @property
    def sizes(self) -> str:
        """What baking takes off: "46 kB of 91 kB"; empty while the sizes of ranks are not known."""
        state, spectrum = self.ranks.state, self.ranks.facts.spectrum
        sizes = sizes_of(spectrum, state.order) if spectrum is not None else []
        if state.adapter is None or state.rank > len(sizes):
            return ""
        return f"{megabytes(sizes[state.rank - 1])} of {megabytes(sizes[-1])}"

    @property
    def why_not(self) -> str:
        """What stands in the way of making anything; empty when nothing does."""
        if self.ranks.state.adapter is None:
            return "Choose an adapter first."
        return self.doing

    @property
    def why_not_bake(self) -> str:
        return self.why_not or self._unordered or self._taken(self.baked_name)

    @property
    def why_not_order(self) -> str:
        """Why the adapter is not put in order: its prefixes were trained, or it is in order already."""
        card = self.ranks.state.adapter
        if card is not None and card.kind == "dylora":
            return f"{card.name} was trained at every rank: its columns are in their order as they stand."
        if card is not None and card.kind == "svd" and not self.plan.data:
            return f"{card.name} is in order already."
        return self.why_not or self._taken(self.ordered_name)

    @property
    def why_not_export(self) -> str:
        if self.plan.folder and not Path(self.plan.folder).is_absolute():
            return "Name the new folder in full, from the root on."
        return self.why_not or self._unordered

    @property
    def _unordered(self) -> str:
        """A part of columns without an order is an arbitrary one: to be heard, not to be made a file of."""
        state = self.ranks.state
        is_unordered = state.adapter is not None and state.adapter.kind == "lora" and state.order == ""
        return (
            "As the file has them its columns have no order. Choose another order first."
            if is_unordered
            else ""
        )

    def _taken(self, name: str) -> str:
        is_taken = name in self.ranks.stock.adapters
        return f"There is a {name} in the library. Choose another name." if is_taken else ""

    # the verbs

    def bake(self) -> bool:
        """Make an ordinary adapter of what is heard. False where something is in the way."""
        state = self.ranks.state
        if self.why_not_bake or state.adapter is None:
            return False
        request = BakeRank(
            adapter=state.adapter.name, rank=state.rank, out=self.baked_name, order=state.order
        )
        whole = state.adapter.bytes
        self._make(f"Baking rank {state.rank}", request, partial(self._baked, state.rank, whole))
        return True

    def put_in_order(self) -> bool:
        """Make an adapter whose every rank is the best of that rank. False where something is in the way."""
        state = self.ranks.state
        if self.why_not_order or state.adapter is None:
            return False
        name = state.adapter.name
        base = state.base if self.plan.data else ""
        request = OrderRanks(adapter=name, out=self.ordered_name, base=base, data=self.plan.data)
        self._make(f"Putting {name} in order", request, self._ordered)
        return True

    def export(self) -> bool:
        """Write the adapter at the live rank to the plan's folder. False where something is in the way."""
        state = self.ranks.state
        if self.why_not_export or not self.plan.folder or state.adapter is None:
            return False
        rank = state.rank
        request = ExportAdapter(
            name=state.adapter.name, folder=self.plan.folder, rank=rank, order=state.order
        )
        self._make(f"Writing rank {rank}", request, partial(self._exported, state.adapter.name, rank))
        return True

    def undo(self) -> None:
        """Take what was made out of the library again; its notice brings it back."""
        card = self.made.card if self.made is not None else None
        if card is None or self.doing:
            return
        self._make(f"Removing {card.name}", RemoveAdapter(name=card.name), partial(self._removed, card.name))

    def play(self) -> None:
        """Slide what was made."""
        if self.made is not None and self.made.card is not None:
            self.ranks.choose(self.made.card.name)

    def cancel(self) -> None:
        """Give up what is being made; nothing of it stays."""
        self._client.cancel(self._call)

    def _make(self, doing: str, request: Request, then: Callable[[Any], None]) -> None:
        self.doing = doing
        self.changed.emit()

        def done(body: Body) -> None:
            self.doing = ""
            then(body)

        self._call = self._client.ask(request, done, self._failed, self._heard)

    def _heard(self, body: Body) -> None:
        if self.doing and isinstance(body, Said):
            self.doing = body.text
            self.changed.emit()

    # what came of it

    def _baked(self, rank: int, whole: int, card: AdapterCard) -> None:
        size = f"{megabytes(card.bytes)} instead of {megabytes(whole)}"
        self._say(Made(f"{card.name} is in the library: rank {rank}, {size}.", card.path, card))

    def _ordered(self, body: RanksOrdered) -> None:
        apart = f"{body.error:.0e}" if body.error > WHOLE else "nothing"
        sentence = f"{body.card.name} is in the library, its columns in order; whole, it lost {apart}."
        energies = [("Weighed on data" if body.plain else "By energy", tuple(body.energy))]
        if body.plain:
            energies.append(("Plain order", tuple(body.plain)))
        self._say(Made(sentence, body.card.path, body.card, tuple(energies), tuple(body.notes)))

    def _exported(self, name: str, rank: int, body: Any) -> None:
        self.plan = replace(self.plan, folder="")
        self._say(Made(f"{name} at rank {rank} was written as an ordinary PEFT adapter.", body.path))

    def _removed(self, name: str, _body: Body) -> None:
        self.made = None
        self.changed.emit()
        back = ("Bring it back", lambda: self._restore(name))
        self.noticed.emit(Notice("info", f"{name} was taken out of the library.", action=back))

    def _restore(self, name: str) -> None:
        self._make(f"Bringing {name} back", RestoreAdapter(name=name), lambda body: self.changed.emit())

    def _say(self, made: Made) -> None:
        self.made = made
        self.plan = replace(self.plan, baked="", ordered="")
        self.changed.emit()
        self.announced.emit(made.sentence)

    def _failed(self, error: Error) -> None:
        self.doing = ""
        self.changed.emit()
        if error.code != "cancelled":
            self.noticed.emit(from_error(error))

    def _follow(self) -> None:
        """Names and results are about one adapter; another one begins anew."""
        card = self.ranks.state.adapter
        about = card.name if card is not None else ""
        if about != self._about:
            self._about = about
            is_ours = self.made is not None and self.made.card is not None and self.made.card.name == about
            self.plan = MakingPlan()
            self.made = self.made if is_ours else None
        self.changed.emit()

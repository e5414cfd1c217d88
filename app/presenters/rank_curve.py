"""Quality by rank of the adapter on the ranks page: measured on request, kept for each order and data set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from PySide6.QtCore import QObject, QSettings, Signal

from app.client import Client
from app.presenters.measured import Measured, from_json, grid, order_words, to_json
from app.presenters.notice import from_error
from app.presenters.rank_scene import orders_of
from app.presenters.ranks import Ranks
from app.presenters.stock import HELD_OUT
from engine.messages import (
    AdapterCard,
    Body,
    DataSet,
    Error,
    MeasureRanks,
    RankCurve,
    RankOrder,
    Said,
    Scoring,
)

__all__ = ["CurvePlan", "Doing", "RankCurves"]

SAVED = "ranks/curves"
ROWS = 200


@dataclass(frozen=True)
class CurvePlan:
    """What to measure: on at most ``rows`` of ``data`` (a path), in ``every_order`` or the one that is heard,
    and for which adapter ``beside``, "" for none."""

    data: str = ""
    metric: Literal["exact", "loss"] = "exact"
    rows: int = ROWS
    every_order: bool = False
    beside: str = ""


@dataclass(frozen=True)
class Doing:
    """What is being measured now: answers ``done`` of ``total``, and curves that wait (``left``)."""

    adapter: str
    order: RankOrder
    said: str = ""
    done: int = 0
    total: int = 0
    left: int = 0


@dataclass(frozen=True)
class _Wish:
    card: AdapterCard
    order: RankOrder
    data: DataSet
    request: MeasureRanks


class RankCurves(QObject):
    """``changed``: curves, plan or progress. ``noticed(Notice)``; ``announced(sentence)``: for readers."""

    changed = Signal()
    noticed = Signal(object)
    announced = Signal(str)

    def __init__(
        self,
        client: Client,
        ranks: Ranks,
        settings: QSettings | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._client = client
        self._settings = settings
        self.ranks = ranks
        self.plan = CurvePlan()
        self.doing: Doing | None = None
        self._kept = from_json(str(settings.value(SAVED, "")) if settings is not None else "")
        self._wishes: list[_Wish] = []
        self._call = ""
        self._suggested_for = ""
        ranks.changed.connect(self._follow)
        ranks.stock.changed.connect(self._follow)
        self._follow()

    # what to measure

    @property
    def data(self) -> DataSet | None:
        return self.ranks.stock.data(self.plan.data)

    @property
    def offered(self) -> list[DataSet]:
        """Starter sets that nothing was trained on."""
        return [data for data in self.ranks.stock.sets if data.name.endswith(HELD_OUT)]

    @property
    def others(self) -> list[AdapterCard]:
        """Adapters that may be drawn beside the one that slides."""
        state = self.ranks.state
        mine = state.adapter.name if state.adapter is not None else ""
        return [card for card in state.adapters if card.name != mine]

    @property
    def beside(self) -> AdapterCard | None:
        return next((card for card in self.others if card.name == self.plan.beside), None)

    @property
    def has_orders(self) -> bool:
        """Whether there is more than one order to measure."""
        beside = self.beside
        return max(len(self.ranks.state.orders), len(orders_of(beside)) if beside else 0) > 1

    def set(self, **changes: Any) -> None:
        """Another CurvePlan."""
        plan = replace(self.plan, **changes)
        if plan != self.plan:
            self.plan = plan
            self.changed.emit()

    def choose_data(self, path: str) -> None:
        """Measure on the file at ``path``; it is read to its end first."""
        self.ranks.stock.read(path, lambda data: self.set(data=data.path))

    @property
    def why_not(self) -> str:
        """What is missing before anything can be measured; empty when nothing is."""
        if self.ranks.state.adapter is None:
            return "Choose an adapter first."
        if self.data is None:
            return "Choose data to measure on."
        return ""

    # what was measured

    @property
    def shown(self) -> list[Measured]:
        """The curves of one picture, that of the order that is heard first: all answered the same rows."""
        state, data, plan = self.ranks.state, self.data, self.plan
        if state.adapter is None or data is None:
            return []
        mine = [
            each
            for each in self._kept
            if each.sha256 == state.adapter.sha256
            and each.base == state.base
            and each.data_sha256 == data.sha256
            and each.curve.metric == plan.metric
        ]
        if not mine:
            return []
        heard = [each for each in mine if each.order == state.order]
        like = (heard or mine)[-1]
        alike = [each for each in self._kept if each.is_like(like)]
        own = [each for each in alike if each.sha256 == state.adapter.sha256]
        beside = [each for each in alike if each.adapter == plan.beside and each not in own]
        return sorted(own, key=lambda each: each.order != state.order) + beside

    @property
    def current(self) -> Measured | None:
        """The curve of what is heard; None where it has not been measured."""
        state = self.ranks.state
        return next(
            (
                each
                for each in self.shown
                if each.order == state.order
                and state.adapter is not None
                and each.sha256 == state.adapter.sha256
            ),
            None,
        )

    def label(self, measured: Measured) -> str:
        """What a curve is called beside the others of its picture."""
        card = self.ranks.state.adapter
        if card is not None and measured.sha256 == card.sha256:
            return order_words(card, measured.order)
        other = self.ranks.stock.adapters.get(measured.adapter)
        order = order_words(other, measured.order).lower() if other is not None else ""
        return f"{measured.adapter}, {order}" if order else measured.adapter

    @property
    def sentence(self) -> str:
        """What the measured curve says, and on what; empty before."""
        return self.current.sentence if self.current is not None else ""

    @property
    def apart(self) -> list[str]:
        """Prompts that ranks of what is heard were found to differ on; empty before, and where none do."""
        return self.current.curve.apart if self.current is not None else []

    # measuring

    def measure(self) -> bool:
        """Measure as planned, one curve after the other. False where something is missing."""
        state, data = self.ranks.state, self.data
        if self.why_not or self.doing is not None or state.adapter is None or data is None:
            return False
        orders = state.orders if self.plan.every_order else (state.order,)
        wishes = [self._wish(state.adapter, order, state.low, data) for order in orders]
        beside = self.beside
        if beside is not None:
            theirs = orders_of(beside) if self.plan.every_order else orders_of(beside)[:1]
            wishes += [self._wish(beside, order, beside.low, data) for order in theirs]
        self._wishes = wishes
        self._next()
        return True

    def cancel(self) -> None:
        """Give up; what was measured to its end stays."""
        self._wishes = []
        self._client.cancel(self._call)

    def _wish(self, card: AdapterCard, order: RankOrder, low: int, data: DataSet) -> _Wish:
        request = MeasureRanks(
            base=self.ranks.state.base,
            data=data.path,
            adapter=card.name,
            ranks=grid(low, card.rank),
            order=order,
            speed=True,
            metric=self.plan.metric,
            limit=min(self.plan.rows, data.rows),
        )
        return _Wish(card, order, data, request)

    def _next(self) -> None:
        if not self._wishes:
            self.doing = None
            self.changed.emit()
            return
        wish = self._wishes.pop(0)
        self.doing = Doing(wish.card.name, wish.order, left=len(self._wishes))
        self._call = self._client.ask(
            wish.request, lambda body: self._measured(wish, body), self._failed, self._heard
        )
        self.changed.emit()

    def _heard(self, body: Body) -> None:
        if self.doing is None:
            return
        if isinstance(body, Scoring):
            self.doing = replace(self.doing, said="", done=body.done, total=body.total)
        elif isinstance(body, Said):
            self.doing = replace(self.doing, said=body.text)
        self.changed.emit()

    def _measured(self, wish: _Wish, body: Body) -> None:
        if not isinstance(body, RankCurve):
            return
        measured = Measured(
            adapter=wish.card.name,
            sha256=wish.card.sha256,
            base=wish.request.base,
            order=wish.order,
            data=wish.data.name,
            data_sha256=wish.data.sha256,
            curve=body,
        )
        self._kept = (*(each for each in self._kept if not measured.replaces(each)), measured)
        if self._settings is not None:
            self._settings.setValue(SAVED, to_json(self._kept))
        self._next()
        if self.doing is None:
            self.announced.emit(self.sentence)

    def _failed(self, error: Error) -> None:
        self._wishes, self.doing = [], None
        self.changed.emit()
        if error.code != "cancelled":
            self.noticed.emit(from_error(error))

    def _follow(self) -> None:
        """Another adapter suggests its own data, once the data sets are known."""
        card, sets = self.ranks.state.adapter, self.ranks.stock.sets
        if card is not None and sets and self._suggested_for != card.name:
            self._suggested_for = card.name
            self.plan = replace(self.plan, beside="", data=self._suggestion(card) or self.plan.data)
        self.changed.emit()

    def _suggestion(self, card: AdapterCard) -> str:
        """What this adapter was measured on last, else the held-out set that its name begins with."""
        last = [each for each in self._kept if each.sha256 == card.sha256]
        for data in self.ranks.stock.sets if last else ():
            if data.sha256 == last[-1].data_sha256:
                return data.path
        named = [data for data in self.offered if card.name.startswith(data.name.removesuffix(HELD_OUT))]
        best = max(named, key=lambda data: len(data.name), default=None)
        return best.path if best is not None else ""

"""Two to four prompts read by one router: who speaks where in each, and where they are routed differently."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

from PySide6.QtCore import QObject, QTimer, Signal

from app.client import Client
from app.presenters.playing import Playing
from app.presenters.why import places
from engine.messages import Body, Error, Generate, Mixing, Part, Route, Routing

__all__ = ["FEWEST", "MOST", "Apart", "Prompts", "Slot"]

FEWEST, MOST = 2, 4
SETTLE_MS = 150
# Mean gates that differ by no more than this are called alike.
ALIKE = 0.05


@dataclass(eq=False)
class Slot:
    """One prompt: what it says, how it was routed, or why it could not be; ``is_stale`` until
    the ``question`` last asked is answered."""

    text: str = ""
    question: Route | None = None
    routing: Routing | None = None
    is_stale: bool = False
    error: Error | None = None
    call: str = ""

    @property
    def shares(self) -> list[list[float]]:
        """[modules][experts]: the mean gate over the prompt's tokens."""
        if self.routing is None or not self.routing.gates:
            return []
        count = len(self.routing.gates)
        return [
            [sum(gates) / count for gates in zip(*tokens, strict=True)]
            for tokens in zip(*self.routing.gates, strict=True)
        ]

    @property
    def usage(self) -> dict[str, float]:
        """Each expert's mean gate over all tokens and modules."""
        shares = self.shares
        if not shares or self.routing is None:
            return {}
        means = [sum(column) / len(shares) for column in zip(*shares, strict=True)]
        return dict(zip(self.routing.experts, means, strict=True))


@dataclass(frozen=True)
class Apart:
    """How differently prompts are routed, module by module; ``rows`` are the modules' (layer, projection).

    ``by_row`` is half the summed gap of mean gates, of the two prompts farthest apart: 0 is alike, 1 is by
    altogether other experts.
    """

    rows: tuple[tuple[int, str], ...]
    experts: tuple[str, ...]
    by_row: tuple[float, ...]

    @staticmethod
    def of(slots: list[Slot]) -> Apart | None:
        """None before two prompts have been routed by the same router."""
        routed = [slot for slot in slots if slot.routing is not None]
        names = {
            (tuple(slot.routing.modules), tuple(slot.routing.experts)) for slot in routed if slot.routing
        }
        if len(routed) < FEWEST or len(names) != 1 or routed[0].routing is None:
            return None
        shares = [slot.shares for slot in routed]
        by_row = [
            max(_gap(one[row], other[row]) for one, other in combinations(shares, 2))
            for row in range(len(routed[0].routing.modules))
        ]
        modules, experts = routed[0].routing.modules, routed[0].routing.experts
        return Apart(tuple(places(modules)), tuple(experts), tuple(by_row))

    @property
    def sentence(self) -> str:
        """Where the prompts part most, and where hardly."""
        by_layer: dict[int, list[float]] = {}
        for (layer, _), gap in zip(self.rows, self.by_row, strict=True):
            by_layer.setdefault(layer, []).append(gap)
        means = {layer: sum(gaps) / len(gaps) for layer, gaps in by_layer.items()}
        most, least = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
        place = max(range(len(self.rows)), key=self.by_row.__getitem__)
        alike = sum(gap <= ALIKE for gap in self.by_row)
        layer, projection = self.rows[place]
        words = f"Widest apart at layer {layer} {projection} ({self.by_row[place]:.2f})"
        if len(means) > 1:
            words += f"; by layer most in {most} ({means[most]:.2f}), least in {least} ({means[least]:.2f})"
        return f"{words}. Alike within {ALIKE} in {alike} of {len(self.rows)} projections."


class Prompts(QObject):
    """``slots`` from left to right. ``changed``: their number; ``routed(place)``: one was or cannot be."""

    changed = Signal()
    routed = Signal(int)

    def __init__(self, client: Client, playing: Callable[[], Playing], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._client = client
        self._playing = playing
        self.slots = [Slot() for _ in range(FEWEST)]
        self._settle = QTimer(self, interval=SETTLE_MS, singleShot=True)
        self._settle.timeout.connect(self._ask_anew)
        client.welcomed.connect(self._reconnected)

    @property
    def apart(self) -> Apart | None:
        return Apart.of(self.slots)

    @property
    def is_settling(self) -> bool:
        """Whether a hand is still on the desk, so that prompts will be routed anew in a moment."""
        return self._settle.isActive()

    def suggest(self, prompts: list[str]) -> None:
        """Fill empty prompts, so that there is something to see; what a person wrote stays."""
        for place, (slot, text) in enumerate(zip(self.slots, prompts, strict=False)):
            if not slot.text:
                self.write(place, text)

    def write(self, place: int, text: str) -> None:
        """Put other words into a prompt and have them routed."""
        self.slots[place].text = text
        self.changed.emit()
        self._ask(place)

    def add(self, text: str = "") -> None:
        if len(self.slots) < MOST:
            self.slots.append(Slot(text))
            self.changed.emit()
            self._ask(len(self.slots) - 1)

    def remove(self, place: int) -> None:
        if len(self.slots) > FEWEST:
            self._client.cancel(self.slots.pop(place).call)
            self.changed.emit()

    def settle(self) -> None:
        """The desk is another one: route anew what that changes, once the hand rests."""
        for slot in self.slots:
            if slot.question is not None and self._question(slot.text) != slot.question:
                self._client.cancel(slot.call)
                slot.question, slot.is_stale = None, True
                self._tell(slot)
        self._settle.start()

    def _reconnected(self) -> None:
        for slot in self.slots:
            if slot.error is not None:
                slot.question = None
        self._ask_anew()

    def _ask_anew(self) -> None:
        for place in range(len(self.slots)):
            self._ask(place)

    def _question(self, text: str) -> Route | None:
        playing = self._playing()
        asked = playing.request(Generate(base=playing.desk.base, prompt=text))
        mixing: Mixing | None = asked.mixing
        parts: list[Part] = asked.parts
        return Route(mixing=mixing, prompt=text, parts=parts) if mixing is not None and text.strip() else None

    def _ask(self, place: int) -> None:
        """Route a prompt, unless that very question has been asked; an answer to an older one is dropped."""
        slot = self.slots[place]
        question = self._question(slot.text)
        if question is not None and question == slot.question:
            return
        self._client.cancel(slot.call)
        slot.question, slot.error, slot.is_stale = question, None, question is not None
        if question is None:
            slot.routing = None
        self._tell(slot)
        if question is None:
            return

        def done(body: Body) -> None:
            if isinstance(body, Routing) and slot.question is question:
                slot.routing, slot.is_stale = body, False
                self._tell(slot)

        def failed(error: Error) -> None:
            if slot.question is question and error.code != "cancelled":
                slot.error, slot.routing, slot.is_stale = error, None, False
                self._tell(slot)

        slot.call = self._client.ask(question, done, failed)

    def _tell(self, slot: Slot) -> None:
        if slot in self.slots:
            self.routed.emit(next(place for place, other in enumerate(self.slots) if other is slot))


def _gap(one: list[float], other: list[float]) -> float:
    """Half the summed difference: total variation where gates share out 1."""
    return 0.5 * sum(abs(a - b) for a, b in zip(one, other, strict=True))

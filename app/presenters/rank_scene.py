"""What stands on the ranks page: which adapter, in which order, at which ranks; and what is kept of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from app.presenters.answers import BASE
from engine.messages import AdapterCard, RankOrder

__all__ = [
    "LIVE",
    "MOST_PINNED",
    "ORDERS",
    "RanksState",
    "Remembered",
    "Scene",
    "files_of",
    "opening",
    "orders_of",
    "rank_of",
    "rank_pane",
    "state_of",
]

LIVE = "live"
MOST_PINNED = 4
# What each order is called, and what it means.
ORDERS: dict[RankOrder, tuple[str, str]] = {
    "energy": (
        "By energy",
        "Each projection keeps its strongest directions, so every rank is the best of that rank. "
        "The file stays as it is.",
    ),
    "spread": (
        "Shared out over layers",
        "The strongest directions of all projections together: one layer keeps more, another less. "
        "The file stays as it is.",
    ),
    "": ("As the file has it", "Each projection keeps its first columns, as they lie in the file."),
}
OF_KIND: dict[str, tuple[RankOrder, ...]] = {"dylora": ("",), "svd": ("", "spread")}


def rank_pane(rank: int) -> str:
    """The pane of a pinned rank."""
    return f"rank {rank}"


def rank_of(pane: str) -> int | None:
    """The rank that a pane is pinned to; None of the base and the live one."""
    words, _, number = pane.partition(" ")
    return int(number) if words == "rank" else None


def orders_of(card: AdapterCard) -> tuple[RankOrder, ...]:
    """The orders that an adapter may be played in, the first by itself: what was trained at every rank, or
    put in order, is played as it stands."""
    return OF_KIND.get(card.kind, ("energy", "spread", ""))


@dataclass(frozen=True)
class Scene:
    """What a hand changes, and undo brings back. ``pinned`` from left to right."""

    adapter: str = ""
    order: RankOrder = ""
    rank: int = 1
    pinned: tuple[int, ...] = ()

    @property
    def panes(self) -> list[str]:
        """The keys of the answers side by side, from left to right."""
        return [BASE, *map(rank_pane, self.pinned), LIVE] if self.adapter else []

    def repinned(self, rank: int, other: int) -> Scene:
        return replace(self, pinned=tuple(other if pin == rank else pin for pin in self.pinned))

    def fitting(self, card: AdapterCard) -> Scene:
        """The same scene for ``card``, of which there may be fewer ranks and other orders."""
        orders = orders_of(card)
        return Scene(
            adapter=card.name,
            order=self.order if self.order in orders else orders[0],
            rank=min(max(self.rank, card.low), card.rank),
            pinned=tuple(pin for pin in self.pinned if card.low <= pin <= card.rank),
        )


@dataclass(frozen=True)
class RanksState:
    """What the page shows. ``adapters`` play on ``base``; ``orders`` are those that the adapter may have;
    ranks go from ``low`` to ``highest``; ``problem`` is why nothing can be slid, "" where it can."""

    base: str = ""
    adapter: AdapterCard | None = None
    adapters: tuple[AdapterCard, ...] = ()
    order: RankOrder = ""
    orders: tuple[RankOrder, ...] = ()
    highest: int = 1
    low: int = 1
    rank: int = 1
    pinned: tuple[int, ...] = ()
    prompt: str = ""
    problem: str = ""


def state_of(
    base: str, prompt: str, scene: Scene, card: AdapterCard | None, adapters: tuple[AdapterCard, ...]
) -> RanksState:
    """The scene with what is known of its adapter, ``card``; None while that cannot be heard on ``base``."""
    return RanksState(
        base=base,
        adapter=card,
        adapters=adapters,
        order=scene.order,
        orders=orders_of(card) if card else (),
        highest=card.rank if card else 1,
        low=card.low if card else 1,
        rank=scene.rank,
        pinned=scene.pinned,
        prompt=prompt,
        problem=problem_of(card),
    )


class Remembered(msgspec.Struct, frozen=True):
    """What the next start finds again: the prompt, and by base what stood on the page."""

    prompt: str = ""
    scenes: dict[str, Scene] = {}

    @staticmethod
    def from_json(text: str) -> Remembered:
        """What ``to_json`` wrote; nothing, if another version wrote it."""
        try:
            return msgspec.json.decode(text.encode(), type=Remembered) if text else Remembered()
        except msgspec.DecodeError:
            return Remembered()

    def to_json(self) -> str:
        return msgspec.json.encode(self).decode()


def opening(card: AdapterCard) -> Scene:
    """What stands on the page at first: all of the adapter beside a part of it."""
    rank = card.low if card.kind == "dylora" else max(card.low, card.rank // 2)
    return Scene(card.name, orders_of(card)[0], rank, (card.rank,) if card.rank > card.low else ())


def files_of(card: AdapterCard | None) -> tuple[str, str]:
    """What an adapter says depends on: under one name there may be other files tomorrow."""
    return (card.name, card.sha256) if card else ("", "")


def problem_of(card: AdapterCard | None) -> str:
    """Why nothing can be slid, "" where it can."""
    if card is not None and card.rank == card.low:
        return f"{card.name} has a single rank, so there is nothing to slide."
    return ""

"""Voices: the bank and the gates that a request is answered with, kept ready for the next one.

A bank is read from disk, its columns put in the order asked for, and attached once for each set of adapters
(or mix) and their orders, in the base's own number format, and kept while it is used; a changed file makes a
new one. Gates are made for every request: they are small.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from engine.formats.errors import StudioError
from engine.formats.files import explain_os_error
from engine.formats.studio_file import check_rank
from engine.lora import Bank, Gates, attach, in_order, read_adapter
from engine.messages import Ask, Mixing, Part, RankOrder
from engine.mixer import Router, load_mix
from engine.runtime.base import Base
from engine.training.play import play

__all__ = ["Playing", "Voice", "Voices", "mixed", "together"]

KEPT = 8
ALIKE = 2
"""Of the same files in other orders, as a hand slides one expert of a mix after the other, fewer are kept."""
Key = tuple[tuple[str | int, ...], ...]
Orders = dict[str, RankOrder]
Playing = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True)
class Voice:
    """What plays an answer. ``bank`` None is the base alone; ``experts`` are the router's, or empty."""

    bank: Bank | None
    gates: Gates | None
    experts: tuple[str, ...] = ()

    @property
    def notes(self) -> list[str]:
        """What a person should know about how the adapters sit on the base, and of ranks that cut them."""
        if self.bank is None or self.gates is None:
            return []
        notes = list(self.bank.notes)
        for name, rank in self.gates.ranks.items():
            adapter = self.bank.adapters[name]
            if self.gates.weights[name] and adapter.kind == "lora" and (rank or adapter.rank) < adapter.rank:
                notes.append(
                    f"The columns of {name} have no order, so rank {rank} is an arbitrary part of it: in the "
                    "order of energy every rank is the best of its rank."
                )
        return notes

    def playing(self) -> AbstractContextManager[None]:
        """Around one forward pass."""
        return play(self.bank, self.gates)

    def set_rank(self, adapter: str, rank: int) -> None:
        """From the next pass on: in place, see ``Gates.set_rank``."""
        assert self.gates is not None
        with torch.no_grad():
            self.gates.set_rank(adapter, rank)

    def check_rank(self, adapter: str, rank: int) -> None:
        """StudioError("usage") for an adapter that takes no part here, or a rank that it has not."""
        if self.bank is None or adapter not in self.bank.adapters:
            raise StudioError(
                "usage", f"{adapter} takes no part in this answer.", "Slide one of those that it has."
            )
        its = self.bank.adapters[adapter]
        check_rank(adapter, rank, its.low, its.rank)


@dataclass(eq=False)
class _Kept:
    bank: Bank
    router: Router | None
    files: Key = ()
    users: int = 0


class Voices:
    """The voices of one base."""

    def __init__(self, base: Base, kept: int = KEPT) -> None:
        self.base = base
        self._limit = kept
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()

    @contextmanager
    def hold(self, parts: Sequence[Part], mixing: Mixing | None, paths: Mapping[str, str]) -> Iterator[Voice]:
        """The voice of ``parts``, or of a mix with ``parts`` as its faders (experts not named play at 1).

        Its bank stays attached inside the block. ``paths`` as in ``messages.Work``. StudioError when an
        adapter or mix cannot be read, does not fit, or is not there.
        """
        with self.hold_all([Ask(parts=list(parts), mixing=mixing)], paths) as voices:
            yield voices[0]

    @contextmanager
    def hold_all(self, asks: Sequence[Ask], paths: Mapping[str, str]) -> Iterator[list[Voice]]:
        """The voices of several asks, for one batch. Those without a mix share one bank, in which every
        projection works once for all of them, unless one adapter plays in several orders. See ``hold``.
        """
        with ExitStack() as stack:
            voices = []
            for ask, orders in zip(asks, _shared(asks), strict=True):
                _check_once(ask.parts)
                if not orders and ask.mixing is None:
                    voices.append(Voice(None, None))
                    continue
                mix = "" if ask.mixing is None else ask.mixing.name
                kept = stack.enter_context(self._use(mix, orders, paths))
                if ask.mixing is None:
                    voices.append(_plain(kept.bank, ask.parts))
                else:
                    assert kept.router is not None
                    voices.append(mixed(kept.bank, kept.router, ask.parts, ask.mixing))
            yield voices

    @contextmanager
    def _use(self, mix: str, orders: Orders, paths: Mapping[str, str]) -> Iterator[_Kept]:
        """The bank of ``mix``, or of adapters, in ``orders``; it stays attached inside the block."""
        kept = self._find(mix, orders, paths)
        kept.users += 1
        try:
            yield kept
        finally:
            kept.users -= 1
            self._make_room()

    def close(self) -> None:
        """Take every bank off the model."""
        while self._kept:
            self._kept.popitem()[1].bank.detach()

    def _find(self, mix: str, orders: Orders, paths: Mapping[str, str]) -> _Kept:
        names = [f"mix:{mix}"] if mix else [f"adapter:{name}" for name in sorted(orders)]
        folders = [Path(_path(name, paths)) for name in names]
        signs = [sign for folder in folders for sign in _signature(folder)]
        key = (*signs, *(item for item in sorted(orders.items()) if item[1]))
        if key not in self._kept:
            self._kept[key] = self._attach(mix, orders, folders)
            self._kept[key].files = tuple(signs)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _attach(self, mix: str, orders: Orders, folders: Sequence[Path]) -> _Kept:
        model = self.base.model
        if mix:
            return _Kept(*load_mix(folders[0], model, dtype=model.dtype, orders=orders)[:2])
        adapters = {
            name: in_order(read_adapter(folder), orders[name])
            for name, folder in zip(sorted(orders), folders, strict=True)
        }
        return _Kept(attach(model, adapters, dtype=model.dtype), None)

    def _make_room(self) -> None:
        for key, kept in [(key, kept) for key, kept in self._kept.items() if not kept.users]:
            alike = sum(other.files == kept.files for other in self._kept.values())
            if len(self._kept) > self._limit or alike > ALIKE:
                self._kept.pop(key).bank.detach()


def mixed(bank: Bank, router: Router, parts: Sequence[Part], mixing: Mixing) -> Voice:
    """The voice of a bank under a router, ``parts`` its faders (experts not named play at 1)."""
    playing = router.play(
        mixing.mode, mixing.top_k, mixing.strength, mixing.renormalise, mixing.muted, mixing.locked
    )
    weights = dict.fromkeys(bank.experts, 1.0) | {part.name: part.weight for part in parts}
    return Voice(bank, bank.new_gates(weights, _ranks(parts), playing), playing.experts)


def together(voices: Sequence[Voice]) -> Playing:
    """For a batch whose row i is played by voice i: what is done around each of its forward passes."""
    banks = list(dict.fromkeys(voice.bank for voice in voices if voice.bank is not None))
    rows = [
        bank.new_rows([voice.gates if voice.bank is bank else None for voice in voices]) for bank in banks
    ]

    @contextmanager
    def playing() -> Iterator[None]:
        with ExitStack() as stack:
            for bank, gates in zip(banks, rows, strict=True):
                stack.enter_context(play(bank, gates))
            yield

    return playing


def _shared(asks: Sequence[Ask]) -> list[Orders]:
    """For each ask the adapters, and in which orders, of a bank for it: those without a mix share one, but
    for adapters that play in another order there."""
    banks: list[Orders] = []
    its = []
    for ask in asks:
        orders: Orders = {part.name: part.order for part in ask.parts}
        if ask.mixing is None and orders:
            for bank in banks:
                if all(bank.get(name, order) == order for name, order in orders.items()):
                    break
            else:
                banks.append(bank := {})
            bank.update(orders)
            orders = bank
        its.append(orders)
    return its


def _plain(bank: Bank, parts: Sequence[Part]) -> Voice:
    return Voice(bank, bank.new_gates({part.name: part.weight for part in parts}, _ranks(parts)))


def _ranks(parts: Sequence[Part]) -> dict[str, int | None]:
    return {part.name: part.rank for part in parts}


def _check_once(parts: Sequence[Part]) -> None:
    if len({part.name for part in parts}) != len(parts):
        raise StudioError("usage", "An adapter is named twice.", "Name each adapter once.")


def _path(name: str, paths: Mapping[str, str]) -> str:
    if name not in paths:
        kind, _, short = name.partition(":")
        raise StudioError("missing", f"There is no {kind} called {short}.", "Choose one from the library.")
    return paths[name]


def _signature(folder: Path) -> Iterator[tuple[str, int, int, int]]:
    """Changes whenever a file below ``folder`` is written, replaced or moved."""
    try:
        for path in sorted(folder.rglob("*")):
            status = path.stat()
            yield str(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns
    except OSError as error:
        raise explain_os_error(error, f"reading {folder.name}") from error

"""Voices: the bank and the gates that a request is answered with, kept ready for the next one.

A bank is read from disk and attached once for each set of adapters (or mix), in the base's own number format,
and kept while it is used; a changed file makes a new one. Gates are made for every request: they are small.
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
from engine.lora import Bank, Gates, attach, read_adapter
from engine.messages import Ask, Mixing, Part
from engine.mixer import Router, load_mix
from engine.runtime.base import Base
from engine.training.play import play

__all__ = ["Playing", "Voice", "Voices", "mixed", "together"]

KEPT = 8
Key = tuple[tuple[str, int, int, int], ...]
Playing = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True)
class Voice:
    """What plays an answer. ``bank`` None is the base alone; ``experts`` are the router's, or empty."""

    bank: Bank | None
    gates: Gates | None
    experts: tuple[str, ...] = ()

    @property
    def notes(self) -> list[str]:
        """What a person should know about how the adapters sit on the base."""
        return list(self.bank.notes) if self.bank is not None else []

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
        _check_rank(self.bank, adapter, rank)


@dataclass(eq=False)
class _Kept:
    bank: Bank
    router: Router | None
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
        projection works once for all of them. See ``hold``.
        """
        with ExitStack() as stack:
            plain = {f"adapter:{part.name}" for ask in asks if ask.mixing is None for part in ask.parts}
            shared = stack.enter_context(self._use(sorted(plain), paths)) if plain else None
            voices = []
            for ask in asks:
                _check_once(ask.parts)
                if ask.mixing is not None:
                    kept = stack.enter_context(self._use([f"mix:{ask.mixing.name}"], paths))
                    assert kept.router is not None
                    voices.append(mixed(kept.bank, kept.router, ask.parts, ask.mixing))
                elif ask.parts and shared is not None:
                    voices.append(_plain(shared.bank, ask.parts))
                else:
                    voices.append(Voice(None, None))
            yield voices

    @contextmanager
    def _use(self, names: Sequence[str], paths: Mapping[str, str]) -> Iterator[_Kept]:
        """The bank of the mix or the adapters of these names, which stays attached inside the block."""
        kept = self._find(names, paths)
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

    def _find(self, names: Sequence[str], paths: Mapping[str, str]) -> _Kept:
        folders = {name: Path(_path(name, paths)) for name in names}
        key = tuple(sign for folder in folders.values() for sign in _signature(folder))
        if key not in self._kept:
            mix = names[0].startswith("mix:")
            self._kept[key] = self._attach_mix(folders[names[0]]) if mix else self._attach(folders)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _attach(self, folders: Mapping[str, Path]) -> _Kept:
        adapters = {name.removeprefix("adapter:"): read_adapter(folder) for name, folder in folders.items()}
        return _Kept(attach(self.base.model, adapters, dtype=self.base.model.dtype), None)

    def _attach_mix(self, folder: Path) -> _Kept:
        bank, router, _ = load_mix(folder, self.base.model, dtype=self.base.model.dtype)
        return _Kept(bank, router)

    def _make_room(self) -> None:
        for key in [key for key, kept in self._kept.items() if not kept.users]:
            if len(self._kept) > self._limit:
                self._kept.pop(key).bank.detach()


def mixed(bank: Bank, router: Router, parts: Sequence[Part], mixing: Mixing) -> Voice:
    """The voice of a bank under a router, ``parts`` its faders (experts not named play at 1)."""
    playing = router.play(
        mixing.mode, mixing.top_k, mixing.strength, mixing.renormalise, mixing.muted, mixing.locked
    )
    weights = dict.fromkeys(bank.experts, 1.0) | {part.name: part.weight for part in parts}
    return Voice(bank, bank.new_gates(weights, _ranks(bank, parts), playing), playing.experts)


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


def _plain(bank: Bank, parts: Sequence[Part]) -> Voice:
    return Voice(bank, bank.new_gates({part.name: part.weight for part in parts}, _ranks(bank, parts)))


def _ranks(bank: Bank, parts: Sequence[Part]) -> dict[str, int | None]:
    """StudioError("usage") for a rank that its adapter does not have."""
    for part in parts:
        if part.rank is not None and part.name in bank.adapters:
            _check_rank(bank, part.name, part.rank)
    return {part.name: part.rank for part in parts}


def _check_rank(bank: Bank, name: str, rank: int) -> None:
    highest = bank.adapters[name].rank
    if not 1 <= rank <= highest:
        raise StudioError(
            "usage",
            f"{name} has ranks 1 to {highest}, not {rank}.",
            "Choose one of these, or none for all of it.",
        )


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

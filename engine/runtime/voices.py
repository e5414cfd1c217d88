"""Voices: the bank and the gates that a request is answered with, kept ready for the next one.

A bank is read from disk and attached once for each set of adapters (or mix) and kept while it is used; a
changed file makes a new one. Gates are made for every request: they are small.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.formats.errors import StudioError
from engine.formats.files import explain_os_error
from engine.lora import Bank, Gates, attach, read_adapter
from engine.messages import Mixing, Part
from engine.mixer import Router, load_mix
from engine.runtime.base import Base
from engine.training.play import play

__all__ = ["Voice", "Voices", "mixed"]

KEPT = 8
Key = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True)
class Voice:
    """What plays an answer. ``bank`` None is the base alone; ``experts`` are the router's, or empty."""

    bank: Bank | None
    gates: Gates | None
    experts: tuple[str, ...] = ()

    def playing(self) -> AbstractContextManager[None]:
        """Around one forward pass."""
        return play(self.bank, self.gates)


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
        if mixing is None and not parts:
            yield Voice(None, None)
            return
        kept = self._find(parts, mixing, paths)
        kept.users += 1
        try:
            if mixing is None or kept.router is None:
                yield _plain(kept.bank, parts)
            else:
                yield mixed(kept.bank, kept.router, parts, mixing)
        finally:
            kept.users -= 1
            self._make_room()

    def close(self) -> None:
        """Take every bank off the model."""
        while self._kept:
            self._kept.popitem()[1].bank.detach()

    def _find(self, parts: Sequence[Part], mixing: Mixing | None, paths: Mapping[str, str]) -> _Kept:
        names = [f"mix:{mixing.name}"] if mixing else sorted(f"adapter:{part.name}" for part in parts)
        if len(set(names)) != len(names):
            raise StudioError("usage", "An adapter is named twice.", "Name each adapter once.")
        folders = {name: Path(_path(name, paths)) for name in names}
        key = tuple(sign for folder in folders.values() for sign in _signature(folder))
        if key not in self._kept:
            self._kept[key] = self._attach_mix(folders[names[0]]) if mixing else self._attach(folders)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _attach(self, folders: Mapping[str, Path]) -> _Kept:
        adapters = {name.removeprefix("adapter:"): read_adapter(folder) for name, folder in folders.items()}
        return _Kept(attach(self.base.model, adapters), None)

    def _attach_mix(self, folder: Path) -> _Kept:
        bank, router, _ = load_mix(folder, self.base.model, self.base.name)
        return _Kept(bank, router)

    def _make_room(self) -> None:
        for key in [key for key, kept in self._kept.items() if not kept.users]:
            if len(self._kept) > self._limit:
                self._kept.pop(key).bank.detach()


def mixed(bank: Bank, router: Router, parts: Sequence[Part], mixing: Mixing) -> Voice:
    """The voice of a bank under a router, ``parts`` its faders (experts not named play at 1)."""
    if mixing.mode == "hard" or mixing.muted or mixing.locked or not mixing.renormalise:
        raise StudioError("failed", "This engine cannot play a mix so yet.")
    playing = router.play(mixing.mode, mixing.top_k, mixing.strength)
    weights = dict.fromkeys(bank.experts, 1.0) | {part.name: part.weight for part in parts}
    return Voice(bank, bank.new_gates(weights, _ranks(bank, parts), playing), playing.experts)


def _plain(bank: Bank, parts: Sequence[Part]) -> Voice:
    return Voice(bank, bank.new_gates({part.name: part.weight for part in parts}, _ranks(bank, parts)))


def _ranks(bank: Bank, parts: Sequence[Part]) -> dict[str, int | None]:
    """StudioError("usage") for a rank that its adapter does not have."""
    for part in parts:
        if part.rank is not None and part.name in bank.adapters:
            highest = bank.adapters[part.name].rank
            if part.rank > highest:
                raise StudioError(
                    "usage",
                    f"{part.name} has ranks 1 to {highest}, not {part.rank}.",
                    "Choose one of these, or none for all of it.",
                )
    return {part.name: part.rank for part in parts}


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

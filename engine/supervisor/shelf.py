"""What the library holds: cards by name, the files behind them, and the names that are still free."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from engine.formats.adapter_file import WEIGHTS
from engine.formats.errors import StudioError
from engine.formats.mix_file import MIXER, read_mix
from engine.messages import AdapterCard, BaseCard, MixCard
from engine.supervisor.home import Home
from engine.supervisor.starter import Starter
from engine.supervisor.store import Entry, Store

__all__ = ["WHAT", "Kind", "Shelf", "check_name"]

Kind = Literal["adapters", "bases", "mixes"]
Card = TypeVar("Card", AdapterCard, BaseCard, MixCard)

WHAT = {"adapters": "adapter", "bases": "base model", "mixes": "mix"}

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?")


def check_name(name: str) -> str:
    """``name`` if it can be a folder's name on every system, else StudioError("usage")."""
    if not _NAME.fullmatch(name):
        raise StudioError(
            "usage",
            f"“{name[:80]}” cannot be a name here.",
            "Use up to 64 letters, digits, dots, dashes and underscores, beginning with a letter or digit.",
        )
    return name


class Shelf:
    """All cards, kept in the store; the files lie in the home, of the starter pack where it is installed.

    ``changed(kind)`` is called after every change.
    """

    def __init__(self, home: Home, store: Store, starter: Starter, changed: Callable[[Kind], None]) -> None:
        self._home = home
        self._store = store
        self.starter = starter
        self._changed = changed

    def adapters(self) -> list[AdapterCard]:
        return [
            msgspec.structs.replace(card, missing=not Path(card.path, WEIGHTS).is_file())
            for card in self._cards("adapters", AdapterCard)
        ]

    def bases(self) -> list[BaseCard]:
        return self._cards("bases", BaseCard)

    def mixes(self) -> list[MixCard]:
        return [
            msgspec.structs.replace(card, missing=not Path(card.path, MIXER).is_file())
            for card in self._cards("mixes", MixCard)
        ]

    def adapter(self, name: str) -> AdapterCard:
        """The adapter of this name, its files in place; StudioError("missing") otherwise."""
        card = _find(self.adapters(), name, "adapter", "`adapter-studio adapters list` shows what is there.")
        if card.missing:
            raise _files_gone("adapter", name)
        return card

    def base(self, name: str) -> BaseCard:
        card = _find(self.bases(), name, "base model", "Add it with `adapter-studio bases add FOLDER`.")
        if not Path(card.path, "config.json").is_file():
            raise _files_gone("base model", name)
        return card

    def mix(self, name: str) -> MixCard:
        card = _find(self.mixes(), name, "mix", "Train one with `adapter-studio mix train`.")
        if card.missing:
            raise _files_gone("mix", name)
        return card

    def data(self, name_or_path: str) -> Path:
        """The file behind ``--data``, a starter set's name or a path. StudioError("data") if neither."""
        if known := self.starter.data(name_or_path):
            return known
        path = Path(name_or_path).expanduser()
        if path.is_file():
            return path.absolute()
        raise StudioError(
            "data",
            f"There is no data file “{name_or_path}”, nor a starter data set of that name.",
            "Give the path of a .jsonl, .csv or .parquet file. Sets on the Hub must be downloaded first.",
        )

    def check_free(self, kind: Kind, name: str) -> None:
        """StudioError("usage") unless a new adapter, base or mix may be called ``name``."""
        check_name(name)
        what = f"{'an' if kind == 'adapters' else 'a'} {WHAT[kind]}"
        for entry in self._store.entries(kind):
            if entry.card.name.casefold() == name.casefold():
                hint = "Choose another name, or remove that one first."
                if entry.removed:
                    command = "mix" if kind == "mixes" else kind
                    hint = f"It was removed: `{command} restore {entry.card.name}` brings it back."
                raise StudioError("usage", f"There already is {what} called {entry.card.name}.", hint)

    def licenses(self, adapters: Mapping[str, str], mix: str = "") -> dict[str, str]:
        """Under which licences the experts of a mix came: {expert: its adapter}, and the mix that it was
        made of. What is not known, or not there any more, is left out."""
        known = {card.name: card.license for card in self.adapters() if card.license}
        found = {expert: known[adapter] for expert, adapter in adapters.items() if adapter in known}
        older = [Path(card.path) for card in self.mixes() if card.name == mix and not card.missing]
        return found | (read_mix(older[0]).licenses if older else {})

    def _cards(self, kind: Kind, card: type[Card]) -> list[Card]:
        return [
            entry.card
            for entry in self._store.entries(kind)
            if not entry.removed and isinstance(entry.card, card)
        ]

    def _room(self, kind: Kind) -> Path:
        return {"adapters": self._home.adapters, "bases": self._home.bases, "mixes": self._home.mixes}[kind]

    def _entry(self, kind: str, name: str) -> Entry | None:
        return next((entry for entry in self._store.entries(kind) if entry.card.name == name), None)

    def _known_base(self, wish: str) -> str:
        """An adapter names its base by a path or a repository; our own name for it when we have it."""
        for base in self.bases():
            if wish in (base.name, base.path) or (wish and Path(wish).name == base.name):
                return base.name
        return wish

    def _keep(self, kind: Kind, card: AdapterCard | BaseCard | MixCard, files: dict[str, str]) -> None:
        self._store.save_entry(kind, Entry(card=card, files=files))
        self._changed(kind)


def _find(cards: list[Card], name: str, what: str, hint: str) -> Card:
    for card in cards:
        if card.name == name:
            return card
    near = difflib.get_close_matches(name, [card.name for card in cards], n=1)
    raise StudioError(
        "missing",
        f"There is no {what} called {name}.",
        f"Did you mean {near[0]}?" if near else hint,
    )


def _files_gone(what: str, name: str) -> StudioError:
    return StudioError(
        "missing",
        f"The files of the {what} {name} are not where they were.",
        "Put them back (is a disk unplugged?), or remove it from the library.",
    )

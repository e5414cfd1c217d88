"""What the library holds: cards by name, the files behind them, and the names that are still free."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
from msgspec.structs import replace

from engine.formats.adapter_file import WEIGHTS
from engine.formats.errors import StudioError
from engine.formats.files import write_file
from engine.formats.mix_file import MIXER, read_mix, read_mix_card
from engine.messages import AdapterCard, BaseCard, MixCard
from engine.supervisor.entry import Entry, write_note
from engine.supervisor.home import Home
from engine.supervisor.names import check_name
from engine.supervisor.spec import Room
from engine.supervisor.speech_shelf import SpeechShelf
from engine.supervisor.starter import Starter
from engine.supervisor.store import Store

__all__ = ["WHAT", "Kind", "Shelf"]

Kind = Literal["adapters", "bases", "mixes"]
Card = TypeVar("Card", AdapterCard, BaseCard, MixCard)

WHAT = {"adapters": "adapter", "bases": "base model", "mixes": "mix"}

_MARKS: dict[type, str] = {AdapterCard: WEIGHTS, BaseCard: "config.json", MixCard: MIXER}


class Shelf:
    """All cards, kept in the store; the files lie in the home, of the starter pack where it is installed.

    ``changed(kind)`` is called after every change. Models of speech have a shelf of their own, ``speech``.
    """

    def __init__(self, home: Home, store: Store, starter: Starter, changed: Callable[[Room], None]) -> None:
        self._home = home
        self._store = store
        self.starter = starter
        self._changed = changed
        self.speech = SpeechShelf(home, starter.folder / "speech", lambda: changed("speech"))

    def adapters(self) -> list[AdapterCard]:
        return self._cards("adapters", AdapterCard)

    def bases(self) -> list[BaseCard]:
        return self._cards("bases", BaseCard)

    def mixes(self) -> list[MixCard]:
        cards = self._cards("mixes", MixCard)
        taken = {card.name for card in cards}
        former = {entry.card.name: entry.former for entry in self._store.entries("mixes")}
        return [
            replace(card, former=[name for name in former[card.name] if name not in taken]) for card in cards
        ]

    def adapter(self, name: str) -> AdapterCard:
        """The adapter of this name, its files in place; StudioError("missing") otherwise."""
        hint = "`adapter-studio adapters list` shows what is there."
        return self._find("adapters", AdapterCard, name, hint)

    def base(self, name: str) -> BaseCard:
        """The base of this name, or that once had it: jobs and mixes that were made before know no other."""
        hint = "Add it with `adapter-studio bases add FOLDER`."
        return self._find("bases", BaseCard, self.base_name(name), hint)

    def base_name(self, name: str) -> str:
        """What a base that is, or once was, called ``name`` is called now."""
        return self._former("bases").get(name, name)

    def mix(self, name: str) -> MixCard:
        card = self._find("mixes", MixCard, name, "Train one with `adapter-studio mix train`.")
        if card.ranks:
            return card
        here = read_mix_card(Path(card.path))  # a card of an older version does not say its experts' ranks
        return replace(card, ranks=here.ranks, kinds=here.kinds)

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
        entries = [entry for entry in self._store.entries(kind) if not _may_be_fetched_again(entry)]
        what = f"{'an' if kind == 'adapters' else 'a'} {WHAT[kind]}"
        for entry in entries:
            if entry.card.name.casefold() == name.casefold():
                hint = "Choose another name, or remove that one first."
                if entry.removed:
                    command = "mix" if kind == "mixes" else kind
                    hint = f"It was removed: `{command} restore {entry.card.name}` brings it back."
                raise StudioError("usage", f"There already is {what} called {entry.card.name}.", hint)
        for former, present in self._former(kind).items() if kind == "bases" else ():
            if former.casefold() == name.casefold():
                raise StudioError(
                    "usage",
                    f"The base model {present} was once called {former}, and mixes still know it so.",
                    "Choose another name.",
                )

    def licenses(self, adapters: Mapping[str, str], mix: str = "") -> dict[str, str]:
        """Under which licences the experts of a mix came: {expert: its adapter}, and the mix that it was
        made of. What is not known, or not there any more, is left out."""
        known = {card.name: card.license for card in self.adapters() if card.license}
        found = {expert: known[adapter] for expert, adapter in adapters.items() if adapter in known}
        older = [Path(card.path) for card in self.mixes() if card.name == mix and not card.missing]
        return found | (read_mix(older[0]).licenses if older else {})

    def _cards(self, kind: Kind, card: type[Card]) -> list[Card]:
        called = self._base_names()
        return [
            _as_it_is(entry.card, called)
            for entry in self._store.entries(kind)
            if not entry.removed and isinstance(entry.card, card)
        ]

    def _find(self, kind: Kind, card: type[Card], name: str, hint: str) -> Card:
        entry = self._entry(kind, name)
        if entry is None or entry.removed or not isinstance(entry.card, card):
            near = difflib.get_close_matches(name, [other.name for other in self._cards(kind, card)], n=1)
            raise StudioError(
                "missing",
                f"There is no {WHAT[kind]} called {name}.",
                f"Did you mean {near[0]}?" if near else hint,
            )
        found = _as_it_is(entry.card, self._base_names())
        if found.missing:
            raise StudioError(
                "missing",
                f"The files of the {WHAT[kind]} {name} are not where they were.",
                "Put them back (is a disk unplugged?), or remove it from the library.",
            )
        return found

    def _room(self, kind: Kind) -> Path:
        return {"adapters": self._home.adapters, "bases": self._home.bases, "mixes": self._home.mixes}[kind]

    def _entry(self, kind: str, name: str) -> Entry | None:
        return self._store.entry(kind, name)

    def _of_repo(self, kind: Kind, repo: str) -> Entry | None:
        """What came from this repository of the Hub, or lies in its cache."""
        cards = ((entry, entry.card) for entry in self._store.entries(kind))
        return next((e for e, card in cards if not isinstance(card, MixCard) and card.repo == repo), None)

    def _trash_place(self, kind: Kind, name: str) -> Path:
        return self._home.trash / f"{kind}-{name}-{time.time_ns()}"

    def _former(self, kind: Kind) -> dict[str, str]:
        """{name that something had once: the one that it has now}."""
        entries = self._store.entries(kind)
        return {former: entry.card.name for entry in entries for former in entry.former}

    def _base_names(self) -> dict[str, str]:
        """{whatever an adapter or a mix may call a base: its name here}."""
        cards = [entry.card for entry in self._store.entries("bases") if not entry.removed]
        called = self._former("bases")
        for card in cards[::-1]:
            assert isinstance(card, BaseCard)
            called |= {key: card.name for key in (card.repo, card.path) if key}
        return called | {card.name: card.name for card in cards}

    def _keep(self, kind: Kind, entry: Entry, instead_of: str = "") -> None:
        """Record an entry beside its files and in the store (see ``Store.save_entry``). The note comes first,
        so that where they differ it is the newer: after a kill, or when the store is an older backup."""
        if isinstance(entry.card, BaseCard):
            # A base's only trace besides the database, from which a damaged one is rebuilt.
            if entry.card.source != "cache":
                write_file(self._home.bases / f"{entry.card.name}.json", msgspec.json.encode(entry))
        elif self._is_ours(kind, entry):
            write_note(Path(entry.card.path), entry)
        self._record(kind, entry, instead_of)

    def _record(self, kind: Kind, entry: Entry, instead_of: str = "") -> None:
        self._store.save_entry(kind, entry, instead_of)
        self._changed(kind)

    def _is_ours(self, kind: Kind, entry: Entry) -> bool:
        """Whether its files lie in the home, and not where they are only used."""
        return Path(entry.card.path).is_relative_to(self._room(kind))


def _may_be_fetched_again(entry: Entry) -> bool:
    """Whether it was taken off the list and came from the Hub, so that its name need not wait for it."""
    return entry.removed and not isinstance(entry.card, MixCard) and bool(entry.card.repo)


def _as_it_is(card: Card, called: Mapping[str, str]) -> Card:
    """``card`` with what may have changed since it was kept: whether its files are there, and what the base
    that it names, by a path or a repository, is ``called`` here."""
    missing = not Path(card.path, _MARKS[type(card)]).is_file()
    if isinstance(card, BaseCard):
        return replace(card, missing=missing)
    base = called.get(card.base) or called.get(Path(card.base).name) or card.base
    return replace(card, missing=missing, base=base)

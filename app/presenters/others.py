"""The library's base models and its mixes: which there are, and how they come and leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from PySide6.QtCore import QObject

from app.client import Client
from app.presenters.keeping import Keeping, KeptState
from engine import messages
from engine.messages import BaseCard, Fit, HubVerdict, LibraryKind, MixCard

__all__ = ["Bases", "BasesState", "Mixes", "MixesState"]


@dataclass(frozen=True)
class BasesState(KeptState):
    """``fits`` say whether this machine's memory holds each; ``base`` is the one that the window uses."""

    cards: tuple[BaseCard, ...] = ()
    fits: Mapping[str, Fit] = field(default_factory=dict)
    base: str = ""

    @property
    def card(self) -> BaseCard | None:
        return next((card for card in self.cards if card.name == self.chosen), None)


@dataclass(frozen=True)
class MixesState(KeptState):
    """All mixes of the library."""

    cards: tuple[MixCard, ...] = ()

    @property
    def card(self) -> MixCard | None:
        return next((card for card in self.cards if card.name == self.chosen), None)


class Bases(Keeping[BasesState]):
    """The base models."""

    kind: LibraryKind = "bases"

    def __init__(self, client: Client, parent: QObject | None = None) -> None:
        super().__init__(client, BasesState(), parent)
        self.refresh()

    def refresh(self) -> None:
        self._client.ask(messages.ListBases(), self._list, self._complain)

    def use_base(self, base: str) -> None:
        self._set(base=base)

    def take_in(self, folder: str) -> None:
        """Make a base known where it lies; nothing is copied."""

        def known(card: BaseCard) -> None:
            self._set(chosen=card.name)
            self._end()
            self.refresh()
            self.say("good", f"{card.name} is known now. Its files stay where they lie.")

        self._ask(f"Reading {Path(folder).name}", messages.AddBase(path=folder), known)

    def _list(self, answer: messages.Bases) -> None:
        cards = tuple(sorted(answer.bases, key=lambda card: card.name.lower()))
        there = any(card.name == self.state.chosen for card in cards)
        self._set(cards=cards, known=True, chosen=self.state.chosen if there else "")
        judged = [card.name for card in cards if not card.missing]
        if judged:
            request = messages.JudgeHub(repos=judged, room="bases")
            self._client.ask(request, self._judged, lambda error: None, self._weighed)

    def _weighed(self, verdict: object) -> None:
        if isinstance(verdict, HubVerdict):
            self._set(fits={**self.state.fits, verdict.repo: verdict.fit})

    def _judged(self, answer: messages.HubVerdicts) -> None:
        self._set(fits={verdict.repo: verdict.fit for verdict in answer.verdicts})


class Mixes(Keeping[MixesState]):
    """The mixes."""

    kind: LibraryKind = "mixes"

    def __init__(self, client: Client, parent: QObject | None = None) -> None:
        super().__init__(client, MixesState(), parent)
        self.refresh()

    def refresh(self) -> None:
        self._client.ask(messages.ListMixes(), self._list, self._complain)

    def take_in(self, folder: str) -> None:
        """Copy a mix's folder into the library: what an export wrote, here or elsewhere."""

        def arrived(card: MixCard) -> None:
            self._set(chosen=card.name)
            self._end()
            self.refresh()
            self.say("good", f"{card.name} is in the library.")

        self._ask(f"Importing {Path(folder).name}", messages.ImportMix(path=folder), arrived)

    def _list(self, answer: messages.Mixes) -> None:
        cards = tuple(sorted(answer.mixes, key=lambda card: card.name.lower()))
        there = any(card.name == self.state.chosen for card in cards)
        self._set(cards=cards, known=True, chosen=self.state.chosen if there else "")

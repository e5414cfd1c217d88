"""A search on the Hub that goes on as one scrolls, and what of it is in the library when the Hub is away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec
from PySide6.QtCore import QObject, Signal

from app.client import Client
from engine import messages
from engine.messages import AdapterCard, BaseCard, Error, HubRepo

__all__ = ["Found", "Query", "Room", "Search"]

Room = Literal["adapters", "bases"]
Sort = Literal["trending", "downloads", "likes", "modified"]

PART = 48
# Parts in a row that may hold nothing before the search rests and asks whether to look further.
PATIENCE = 4


@dataclass(frozen=True)
class Query:
    """What is looked for; ``base`` is a name in the library or a repository, "" for all."""

    text: str = ""
    room: Room = "adapters"
    base: str = ""
    task: str = ""
    license: str = ""
    gated: bool | None = None
    sort: Sort = "trending"
    everything: bool = False


@dataclass(frozen=True)
class Found:
    """``phase``: looking (for the first part), more (for a further one), open (there is more), tired (there
    may be, but a lot of looking found nothing), whole (that was all). ``hidden`` counts what the Hub has and
    the list leaves out. With ``problem`` the Hub could not be asked; without a first part ``repos`` are then
    the library's (``is_library``)."""

    repos: tuple[HubRepo, ...] = ()
    phase: Literal["looking", "more", "open", "tired", "whole"] = "looking"
    hidden: int = 0
    next: int | None = None
    problem: Error | None = None
    is_library: bool = False


class Search(QObject):
    """``changed`` with each new ``found``. Only the newest query is listened to."""

    changed = Signal()

    def __init__(self, client: Client, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.query: Query | None = None
        self.found = Found()
        self._client = client
        self._call = ""
        self._empty = 0
        client.happened.connect(self._on_event)

    def ask(self, query: Query) -> None:
        """Look for something else, or for the same anew."""
        self._client.cancel(self._call)
        self.query, self._empty = query, 0
        self._set(Found())
        self._send(query, 0)

    def more(self) -> None:
        """Look for the part after what is known, unless that is being done or there is none."""
        found = self.found
        if found.phase in ("open", "tired") and found.next is not None and self.query is not None:
            self._empty = 0
            self._set(replace(found, phase="more", problem=None))
            self._send(self.query, found.next)

    def retry(self) -> None:
        """Ask again for what could not be had."""
        if self.query is not None and (self.found.is_library or self.found.next is None):
            self.ask(self.query)
        else:
            self.more()

    def _send(self, query: Query, skip: int) -> None:
        request = messages.SearchHub(
            text=query.text,
            room=query.room,
            base=query.base if query.room == "adapters" else "",
            task=query.task,
            license=query.license,
            gated=query.gated,
            sort=query.sort,
            skip=skip,
            limit=PART,
            everything=query.everything,
        )
        self._call = call = self._client.ask(
            request,
            lambda page: self._came(page) if call == self._call else None,
            lambda error: self._failed(error) if call == self._call else None,
        )

    def _came(self, page: messages.HubPage) -> None:
        found = self.found
        # The Hub's order moves while one reads: what comes a second time is left where it was.
        known = {repo.repo for repo in found.repos}
        fresh = tuple(repo for repo in page.repos if repo.repo not in known)
        self._empty = 0 if fresh else self._empty + 1
        found = replace(
            found,
            repos=found.repos + fresh,
            hidden=found.hidden + page.hidden,
            next=page.next,
            phase="open" if page.next is not None else "whole",
        )
        if fresh or page.next is None or self.query is None:
            self._set(found)
        elif self._empty >= PATIENCE:
            self._set(replace(found, phase="tired"))
        else:
            self._set(replace(found, phase="more" if found.repos else "looking"))
            self._send(self.query, page.next)

    def _failed(self, error: Error) -> None:
        if error.code == "cancelled":
            return
        if self.found.repos:
            self._set(replace(self.found, phase="open", problem=error))
        else:
            self._set(Found(phase="whole", problem=error, is_library=True))
            self._look_at_home()

    def _look_at_home(self) -> None:
        """Without the Hub, show what of the query the library has."""
        query = self.query
        if query is None:
            return
        request = messages.ListAdapters() if query.room == "adapters" else messages.ListBases()
        self._call = call = self._client.ask(
            request,
            lambda body: self._at_home(query, body) if call == self._call else None,
            lambda error: None,  # the problem that led here is already being shown
        )

    def _at_home(self, query: Query, body: messages.Adapters | messages.Bases) -> None:
        cards = body.adapters if isinstance(body, messages.Adapters) else body.bases
        repos = [_shown(card) for card in cards if not card.missing and _matches(query, card)]
        self._set(replace(self.found, repos=tuple(sorted(repos, key=lambda repo: repo.repo.lower()))))

    def _on_event(self, event: object) -> None:
        """Something came into the library or went: mark what of the list is there."""
        if isinstance(event, messages.LibraryChanged) and self.query is not None:
            if event.what == self.query.room == "adapters":
                self._client.ask(messages.ListAdapters(), lambda body: self._mark(body.adapters))
            elif event.what == self.query.room == "bases":
                self._client.ask(messages.ListBases(), lambda body: self._mark(body.bases))

    def _mark(self, cards: Sequence[AdapterCard | BaseCard]) -> None:
        names = {card.repo: card.name for card in reversed(cards) if card.repo and not card.missing}
        repos = tuple(
            repo
            if (name := names.get(repo.repo, "")) == repo.have or "/" not in repo.repo
            else msgspec.structs.replace(repo, have=name)
            for repo in self.found.repos
        )
        self._set(replace(self.found, repos=repos))

    def _set(self, found: Found) -> None:
        if found != self.found:
            self.found = found
            self.changed.emit()


def _matches(query: Query, card: AdapterCard | BaseCard) -> bool:
    if isinstance(card, AdapterCard):
        text = " ".join((card.name, card.repo, card.base, card.description, *card.tags))
        if query.base not in ("", card.base) or query.license not in ("", card.license):
            return False
    else:
        text = f"{card.name} {card.repo} {card.architecture}"
    return all(word in text.lower() for word in query.text.lower().split())


def _shown(card: AdapterCard | BaseCard) -> HubRepo:
    """Something of the library as the Hub would list it."""
    if isinstance(card, AdapterCard):
        return HubRepo(
            repo=card.repo or card.name,
            base=card.base,
            license=card.license,
            size=card.bytes,
            rank=card.rank,
            commit=card.commit,
            have=card.name,
        )
    return HubRepo(
        repo=card.repo or card.name,
        parameters=card.parameters,
        size=card.bytes,
        commit=card.commit,
        have=card.name,
    )

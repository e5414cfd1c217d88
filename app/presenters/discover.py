"""Discover: what is looked for on the Hub, which of it is looked at, and what the person did before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from PySide6.QtCore import QObject, QSettings, QTimer

from app.client import Client
from app.presenters.presenter import Presenter
from app.presenters.repository import Repository
from app.presenters.search import Query, Room, Search
from app.presenters.verdicts import Verdicts
from engine import messages
from engine.messages import HubDetails, HubVerdict

__all__ = ["Discover", "DiscoverState"]

RECENT = "discover/recent"
MOST_RECENT = 12
PAUSE_MS = 350


@dataclass(frozen=True)
class DiscoverState:
    """``base`` is the window's, ``follows`` whether the search is for adapters of it, where it came from the
    Hub; ``bases`` of the library did, None until they are known. ``chosen`` is a repository or "".
    ``recent`` are earlier searches, the newest first."""

    query: Query = field(default_factory=Query)
    base: str = ""
    follows: bool = True
    bases: tuple[str, ...] | None = None
    chosen: str = ""
    recent: tuple[str, ...] = ()


class Discover(Presenter[DiscoverState]):
    """Its parts: ``search`` (the list), ``verdicts`` (of what is in sight), ``repository`` (what is chosen).

    Signals: ``changed`` with each new state.
    """

    def __init__(self, client: Client, store: QSettings | None = None, parent: QObject | None = None) -> None:
        super().__init__(DiscoverState(recent=_remembered(store)), parent)
        self.search = Search(client, self)
        self.verdicts = Verdicts(client, self)
        self.repository = Repository(client, self)
        self._client = client
        self._store = store
        self._pause = QTimer(self, interval=PAUSE_MS, singleShot=True)
        self._pause.timeout.connect(self._ask)
        self.search.changed.connect(self._found)
        self.repository.read.connect(self._read)
        client.welcomed.connect(self._greeted)
        client.happened.connect(self._on_event)
        if client.engine.phase == "ready":
            self._list_bases()

    # --- what is looked for ---

    def use_base(self, base: str) -> None:
        """Another base was chosen in the window."""
        if base != self.state.base:
            self._set(base=base)
            self._follow()

    def enter(self, room: Room) -> None:
        """Look for adapters or for bases; a task is one of the room that was left."""
        bases = self.state.bases or ()
        is_followed = room == "adapters" and self.state.follows and self.state.base in bases
        self.narrow(room=room, task="", base=self.state.base if is_followed else "")

    def look_for_adapters_of(self, base: str) -> None:
        """All adapters for a base of the library or of the Hub."""
        self._set(follows=base == self.state.base)
        self.narrow(room="adapters", text="", task="", base=base)

    def choose_base(self, base: str) -> None:
        """Only adapters for this base: the window's, another of the library, a repository; "" for all."""
        self._set(follows=base == self.state.base)
        self.narrow(base=base)

    def narrow(self, **changes: object) -> None:
        """Change parts of the query but its text and its base: room, task, licence, gated, order."""
        query = replace(self.state.query, **changes)  # type: ignore[arg-type]
        if query != self.state.query:
            self._set(query=query)
            if self.search.query is not None:
                self._ask()

    def show_hidden(self) -> None:
        """List what is left out by default too, each with its reason."""
        self.narrow(everything=True)

    def clear(self) -> None:
        """Look for everything there is in this room."""
        self._set(follows=False)
        self.narrow(text="", base="", task="", license="", gated=None)

    def write(self, text: str) -> None:
        """The text as it is being written: looked for when the hand rests."""
        self._set(query=replace(self.state.query, text=text))
        self._pause.start()

    def look_for(self, text: str) -> None:
        """Look for this now, and remember it. An address of a repository is looked at as well."""
        text = text.strip()
        self._pause.stop()
        self._set(query=replace(self.state.query, text=text))
        self._remember(text)
        query = self.state.query
        if "/" in text and " " not in text:
            self._set(chosen="")
            self.repository.look_at_address(text, query.room, self._judge())
        if self.search.query != query:
            self._ask()

    def retry(self) -> None:
        """Ask again for what could not be had, be it the list, a verdict or the details."""
        self.verdicts.forget_failures()
        self.search.retry()
        if self.repository.state.problem is not None:
            self.repository.retry()

    def look_anew(self) -> None:
        """Another person is signed in: what may be seen is another."""
        self.verdicts.forget_failures()
        if self.search.query is not None:
            self.search.ask(self.search.query)
        if self.repository.state.repo is not None or self.repository.state.problem is not None:
            self.repository.retry()

    def forget_recent(self) -> None:
        self._keep(())

    # --- what is looked at ---

    def choose(self, repo: str) -> None:
        """Look at one of the list."""
        known = next((found for found in self.search.found.repos if found.repo == repo), None)
        if known is not None and repo != self.state.chosen:
            self._set(chosen=repo)
            self.repository.look(known, self.state.query.room, self._judge())

    def see(self, repos: Sequence[str]) -> None:
        """These cards are in sight."""
        if not self.search.found.is_library:
            self.verdicts.see(repos)

    # --- inside ---

    def _judge(self) -> str:
        """The base to judge against: that of the search if the library has it, else the one each names."""
        query = self.state.query
        return query.base if query.base in (self.state.bases or ()) else ""

    def _ask(self) -> None:
        self._pause.stop()
        query = self.state.query
        if self.search.query is not None and self.search.query.room != query.room:
            self._set(chosen="")
            self.repository.look(None, query.room, "")
        self.verdicts.against(self._judge(), query.room)
        self.search.ask(query)

    def _found(self) -> None:
        repos = {repo.repo: repo for repo in self.search.found.repos}
        chosen = repos.get(self.state.chosen)
        if chosen is not None:
            self.repository.refresh(chosen)
        if self.search.found.is_library and repos and self.state.query.room == "adapters" and self.state.base:
            request = messages.JudgeAdapters(base=self._judge() or self.state.base)
            self._client.ask(request, self._judged_at_home, lambda error: None)

    def _judged_at_home(self, answer: messages.Fits) -> None:
        for repo in self.search.found.repos:
            if repo.have in answer.fits:
                self.verdicts.learn(HubVerdict(repo=repo.repo, fit=answer.fits[repo.have]))

    def _read(self, details: HubDetails) -> None:
        if details.verdict is not None and self.repository.state.revision == "main":
            self.verdicts.learn(details.verdict)
        self._set(chosen=details.repo.repo)

    def _greeted(self) -> None:
        self._list_bases()
        problem = self.search.found.problem
        if problem is not None and problem.code == "crashed":
            self.retry()

    def _on_event(self, event: object) -> None:
        if isinstance(event, messages.LibraryChanged) and event.what == "bases":
            self._list_bases()

    def _list_bases(self) -> None:
        self._client.ask(messages.ListBases(), self._listed)

    def _listed(self, answer: messages.Bases) -> None:
        self._set(bases=tuple(base.name for base in answer.bases if base.repo))
        self._follow()
        if self.search.query is None:
            self._ask()

    def _follow(self) -> None:
        """Nobody on the Hub can have named a base that did not come from there: then look for all."""
        bases = self.state.bases
        if self.state.follows and bases is not None:
            self.narrow(base=self.state.base if self.state.base in bases else "")

    def _remember(self, text: str) -> None:
        if text:
            others = (other for other in self.state.recent if other.lower() != text.lower())
            self._keep((text, *others)[:MOST_RECENT])

    def _keep(self, recent: tuple[str, ...]) -> None:
        self._set(recent=recent)
        if self._store is not None:
            self._store.setValue(RECENT, list(recent))


def _remembered(store: QSettings | None) -> tuple[str, ...]:
    kept = store.value(RECENT, []) if store is not None else []
    # One entry comes back from an INI file as a bare string.
    return tuple([kept] if isinstance(kept, str) else kept or [])[:MOST_RECENT]  # type: ignore[arg-type]

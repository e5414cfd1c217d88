"""Whether what is in sight fits: asked of the engine for the cards that are looked at, and for no others."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject, Signal

from app.client import Client
from app.presenters.search import Room
from engine import messages
from engine.messages import Error, HubVerdict

__all__ = ["Verdicts"]

# Repositories to a call: few enough that one which has been scrolled away costs little.
BATCH = 8


class Verdicts(QObject):
    """``known`` holds a HubVerdict of each repository that was judged, or the Error that kept it from being.

    Signals: ``came(repo)`` as soon as one is known; ``forgotten`` when all are to be judged anew.
    """

    came = Signal(str)
    forgotten = Signal()

    def __init__(self, client: Client, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.known: dict[str, HubVerdict | Error] = {}
        self._client = client
        self._base = ""
        self._room: Room = "adapters"
        self._open: dict[str, set[str]] = {}  # call -> repositories that it has not told of

    def against(self, base: str, room: Room) -> None:
        """Judge against a base of the library from now on; "" is the one that each adapter names."""
        if (base, room) != (self._base, self._room):
            self._base, self._room = base, room
            self.forget()

    def forget(self) -> None:
        """Know nothing, as after the library or the network has changed."""
        for call in list(self._open):
            self._drop(call)
        if self.known:
            self.known = {}
            self.forgotten.emit()

    def forget_failures(self) -> None:
        """Ask again about those that could not be judged, once they are in sight."""
        for repo in [repo for repo, known in self.known.items() if isinstance(known, Error)]:
            del self.known[repo]
            self.came.emit(repo)

    def see(self, repos: Sequence[str]) -> None:
        """These are in sight, in reading order: judge those that are not known; give up on all others."""
        seen = set(repos)
        for call in [call for call, rest in self._open.items() if not rest & seen]:
            self._drop(call)
        asked = {repo for rest in self._open.values() for repo in rest}
        fresh = [repo for repo in repos if repo not in self.known and repo not in asked]
        for start in range(0, len(fresh), BATCH):
            self._ask(fresh[start : start + BATCH])

    def learn(self, verdict: HubVerdict) -> None:
        """A verdict that came by another way."""
        if self.known.get(verdict.repo) != verdict:
            self.known[verdict.repo] = verdict
            self.came.emit(verdict.repo)

    def _ask(self, repos: list[str]) -> None:
        request = messages.JudgeHub(repos=repos, base=self._base, room=self._room)
        call = self._client.ask(
            request,
            lambda answer: self._answered(call, answer),
            lambda error: self._failed(call, error),
            lambda verdict: self._told(call, verdict),
        )
        self._open[call] = set(repos)

    def _told(self, call: str, verdict: object) -> None:
        if call in self._open and isinstance(verdict, HubVerdict):
            self._open[call].discard(verdict.repo)
            self.learn(verdict)

    def _answered(self, call: str, answer: messages.HubVerdicts) -> None:
        for verdict in answer.verdicts:
            self._told(call, verdict)
        self._open.pop(call, None)

    def _failed(self, call: str, error: Error) -> None:
        for repo in self._open.pop(call, ()):
            self.known[repo] = error
            self.came.emit(repo)

    def _drop(self, call: str) -> None:
        del self._open[call]
        self._client.cancel(call)

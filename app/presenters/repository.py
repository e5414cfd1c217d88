"""One repository of the Hub in full: its card, files and revisions, and what taking it would mean."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from PySide6.QtCore import QObject, QTimer, Signal

from app.client import Client
from app.presenters.search import Room
from engine import messages
from engine.messages import Error, HubDetails, HubFile, HubRepo

__all__ = ["Repository", "RepositoryState", "name_for"]

MAIN = "main"
# Arrow keys run through a list faster than its repositories could be read.
SETTLE_MS = 120


@dataclass(frozen=True)
class RepositoryState:
    """``repo`` is what the list knows, ``details`` what was read since; ``revision`` a branch, tag, commit.

    ``name`` is what it would be called in the library. ``uses`` says what replacing the one that is there
    would mean; ``free`` is the room on the disk in bytes, None until it is known.
    """

    repo: HubRepo | None = None
    room: Room = "adapters"
    revision: str = MAIN
    details: HubDetails | None = None
    is_looking: bool = False
    problem: Error | None = None
    name: str = ""
    uses: str = ""
    free: int | None = None

    @property
    def wanted(self) -> tuple[HubFile, ...]:
        """The files that a download would fetch."""
        return tuple(file for file in self.details.files if file.wanted) if self.details else ()

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.wanted)

    @property
    def is_here(self) -> bool:
        """Whether the very commit that is looked at is in the library."""
        repo, details = self.repo, self.details
        return bool(repo and repo.have and (details is None or repo.commit in ("", details.commit)))

    @property
    def is_replacement(self) -> bool:
        """Whether a download would take the place of what is in the library."""
        return bool(self.repo and self.repo.have) and self.repo is not None and self.name == self.repo.have

    @property
    def has_room(self) -> bool:
        return self.free is None or self.bytes < self.free


class Repository(QObject):
    """Signals: ``changed`` with each new state; ``read`` with the HubDetails that came."""

    changed = Signal()
    read = Signal(object)

    def __init__(self, client: Client, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.state = RepositoryState()
        self._client = client
        self._base = ""
        self._call = ""
        self._settle = QTimer(self, interval=SETTLE_MS, singleShot=True)
        self._settle.timeout.connect(self.retry)

    def look(self, repo: HubRepo | None, room: Room, base: str) -> None:
        """Look at something of the list, judged against ``base``; None looks at nothing."""
        self._client.cancel(self._call)
        self._base = base
        name = (repo.have or name_for(repo.repo)) if repo else ""
        self._set(RepositoryState(repo=repo, room=room, name=name, free=self.state.free))
        self._settle.stop()
        if repo is not None and "/" in repo.repo:
            self._settle.start()

    def look_at_address(self, address: str, room: Room, base: str) -> None:
        """Look at what a person pasted: user/model, user/model@revision or a page of the Hub."""
        self.look(None, room, base)
        self._read(address, MAIN)

    def use_revision(self, revision: str) -> None:
        """Look at another branch, tag or commit of the same repository."""
        if self.state.repo is not None and revision != self.state.revision:
            self._read(self.state.repo.repo, revision)

    def retry(self) -> None:
        if self.state.repo is not None:
            self._read(self.state.repo.repo, self.state.revision)

    def call_it(self, name: str) -> None:
        """What it is to be called in the library."""
        self._set(replace(self.state, name=name.strip()))

    def refresh(self, repo: HubRepo) -> None:
        """The list knows more of the same repository, as that it is in the library now."""
        if self.state.repo is not None and self.state.repo.repo == repo.repo and self.state.repo != repo:
            self._set(replace(self.state, repo=repo))
            self._weigh()

    def _read(self, repo: str, revision: str) -> None:
        self._set(replace(self.state, revision=revision, is_looking=True, problem=None))
        request = messages.ShowHub(repo=repo, revision=revision, base=self._base, room=self.state.room)
        self._call = call = self._client.ask(
            request,
            lambda details: self._came(details) if call == self._call else None,
            lambda error: self._failed(error) if call == self._call else None,
        )

    def _came(self, details: HubDetails) -> None:
        name = self.state.name or details.repo.have or name_for(details.repo.repo)
        self._set(
            replace(self.state, repo=details.repo, details=details, is_looking=False, problem=None, name=name)
        )
        self.read.emit(details)
        self._weigh()

    def _failed(self, error: Error) -> None:
        if error.code != "cancelled":
            self._set(replace(self.state, is_looking=False, problem=error))

    def _weigh(self) -> None:
        """Ask what is in the way: room on the disk, and what uses the one that would be replaced."""
        self._client.ask(messages.MeasureDisk(), self._measured, lambda error: None)
        repo = self.state.repo
        if repo is not None and repo.have:
            request = messages.FindUses(kind=self.state.room, name=repo.have)
            self._client.ask(request, lambda uses: self._found(repo.have, uses), lambda error: None)

    def _measured(self, disk: messages.DiskUse) -> None:
        self._set(replace(self.state, free=disk.free))

    def _found(self, name: str, uses: messages.Uses) -> None:
        if self.state.repo is not None and self.state.repo.have == name:
            self._set(replace(self.state, uses=uses.sentence))

    def _set(self, state: RepositoryState) -> None:
        if state != self.state:
            self.state = state
            self.changed.emit()


def name_for(repo: str) -> str:
    """A name of the library's kind for a repository: "user/My model!" -> "My-model"."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", repo.rpartition("/")[2])[:64]
    return name.strip("-._") or "adapter"

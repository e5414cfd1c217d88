"""What the server of the test Hub remembers, and the orders that its handle may give."""

import threading
from pathlib import Path

from tests.hub.accounts import Accounts
from tests.hub.core import Hub
from tests.hub.faults import Fault
from tests.hub.store import Repo, Store

__all__ = ["Control"]


class Control:
    """The server's memory. Public methods but ``take`` are orders of the handle, given under ``lock``."""

    def __init__(self, folder: Path, port: int) -> None:
        self.lock = threading.RLock()
        self.store, self.accounts = Store(folder), Accounts()
        self.hub = Hub(self.store, self.accounts, f"http://127.0.0.1:{port}", f"http://localhost:{port}")
        self.log: list[dict] = []
        self.faults: list[Fault] = []

    def take(self, method: str, path: str, fits) -> Fault | None:
        """The first fault that is meant for this request and fits; it is used up by one."""
        found = next((each for each in self.faults if each.wanted(method, path) and fits(each)), None)
        if found and found.times > 0:
            found.times -= 1
        return found

    def add(self, repo: str, files: dict[str, str], keep: bool, modified: float | None, **about) -> str:
        """A repository, or its next commit; ``files`` by path. ``keep``: beside those that it has."""
        held = self.store.repos.setdefault(repo, Repo(repo))
        for name, value in about.items():
            if value is not None:
                setattr(held, name, value)
        blobs = {name: self.store.take(name, Path(path)) for name, path in files.items()}
        before = held.newest.files if keep and held.branches else {}
        return self.store.commit(held, before | blobs, "Upload", date=modified).id

    def ref(self, repo: str, name: str, commit: str, kind: str) -> None:
        held = self.store.repos[repo]
        (held.branches if kind == "branch" else held.marks)[name] = commit

    def remove(self, repo: str) -> None:
        del self.store.repos[repo]

    def lie(self, repo: str, name: str, **about) -> None:
        self.store.repos[repo].lies[name] = about

    def fault(self, **about) -> None:
        self.faults.append(Fault(**about))

    def clear(self) -> list[str]:
        left = [each.name() for each in self.faults if each.times > 0]
        self.faults.clear()
        return left

    def requests(self) -> list[dict]:
        return self.log

    def forget(self) -> None:
        self.log = []

    def page(self, size: int) -> None:
        self.hub.page_size = size

    def crowd(self, count: int, base: str, owner: str) -> None:
        self.store.crowd(count, base, owner)

    def account(self, **about) -> str:
        return self.accounts.add(**about)

    def grant(self, repo: str, user: str) -> None:
        self.store.repos[repo].guests.add(user)

    def device(self, interval: int, expires_in: int, slow_down: int, lasts: int | None) -> None:
        self.accounts.interval, self.accounts.expires_in = interval, expires_in
        self.accounts.slow_down, self.accounts.lasts = slow_down, lasts

    def settle(self, user: str | None) -> str:
        return self.accounts.settle(user)

    def revoke(self, token: str) -> None:
        self.accounts.revoke(token)

    def uploads(self, repo: str) -> list[dict]:
        return [each for each in self.hub.uploads if each["repo"] == repo]

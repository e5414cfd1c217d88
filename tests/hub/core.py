"""The test Hub itself: what it holds, who may see and do what, and the shape of questions and answers."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from tests.hub.accounts import Account, Accounts
from tests.hub.faults import Body
from tests.hub.store import Commit, Repo, Store

__all__ = ["Answer", "Hub", "RefusalError", "Request", "as_json"]


@dataclass
class Request:
    """``path`` as it came, still quoted: a branch may have a slash; ``query`` as parse_qs gives it."""

    method: str
    path: str
    query: dict[str, list[str]]
    host: str
    token: str | None
    body: bytes = b""

    def json(self) -> dict:
        return json.loads(self.body)

    def form(self) -> dict[str, list[str]]:
        return parse_qs(self.body.decode())


@dataclass
class Answer:
    """``etag`` is there for files only: they can be asked for in ranges."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Body = b""
    etag: str = ""


class RefusalError(Exception):
    def __init__(self, status: int, message: str, code: str = "", **headers: str) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.headers = status, message, code, headers


def as_json(body, status: int = 200, **headers: str) -> Answer:
    kept = {"Content-Type": "application/json; charset=utf-8"} | headers
    return Answer(status, kept, json.dumps(body).encode())


class Hub:
    """Repositories and accounts, and how far they are open to whom."""

    def __init__(self, store: Store, accounts: Accounts, endpoint: str, large_host: str) -> None:
        self.store, self.accounts = store, accounts
        self.endpoint, self.large_host = endpoint, large_host
        self.page_size = 1000
        self.uploads: list[dict] = []

    def who(self, request: Request) -> Account | None:
        if request.token is None:
            return None
        if request.token not in self.accounts.tokens:
            raise RefusalError(401, "Invalid credentials in Authorization header")
        return self.accounts.tokens[request.token]

    def writer(self, request: Request, owner: str) -> Account:
        who = self.who(request)
        if who is None:
            raise RefusalError(401, "Invalid username or password.")
        if owner != who.name and owner not in who.groups:
            raise RefusalError(
                403, f"You don't have the rights to create a model under the namespace {owner!r}"
            )
        if who.role != "write":
            raise RefusalError(403, "This token has no write access")
        return who

    def sees(self, request: Request) -> Callable[[Repo], bool]:
        who = self.who(request)
        return lambda repo: not repo.private or (who is not None and repo.owner in (who.name, *who.groups))

    def repo(self, request: Request, name: str) -> Repo:
        sees, repo = self.sees(request), self.store.repos.get(name)
        if repo is None or not sees(repo):
            raise RefusalError(404 if request.token else 401, "Repository not found", "RepoNotFound")
        return repo

    def at(self, request: Request, name: str, revision: str) -> tuple[Repo, Commit]:
        repo = self.repo(request, name)
        commit = repo.at(revision)
        if commit is None:
            raise RefusalError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return repo, commit

    def readable(self, request: Request, repo: Repo) -> None:
        """Files of a gated repository are for those whom its owner let in; what it holds anybody may know."""
        who = self.who(request)
        if not repo.gated or (who is not None and who.name in (repo.owner, *repo.guests)):
            return
        message = f"Access to model {repo.name} is restricted. "
        if who is None:
            message += "You must have access to it and be authenticated to access it. Please log in."
            raise RefusalError(401, message, "GatedRepo")
        message += f"Visit {self.endpoint}/{repo.name} to ask for access."
        raise RefusalError(403, message, "GatedRepo")

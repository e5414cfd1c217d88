"""What the test Hub answers to which request, without a word about sockets."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import parse_qs, unquote, urlencode

import yaml

from tests.hub.accounts import Account, Accounts
from tests.hub.faults import Body
from tests.hub.listing import QueryError, describe, entry, listed, page, stamp
from tests.hub.store import LARGE, LARGE_SIZE, Commit, Repo, Store

__all__ = ["Answer", "Hub", "RefusalError", "Request"]


@dataclass
class Request:
    """``path`` is unquoted but for the parts that stand between slashes; ``query`` as parse_qs gives it."""

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
    """The Hub: repositories, accounts, and one method for each kind of request."""

    def __init__(self, store: Store, accounts: Accounts, endpoint: str, large_host: str) -> None:
        self.store, self.accounts = store, accounts
        self.endpoint, self.large_host = endpoint, large_host
        self.page_size = 1000
        self.uploads: list[dict] = []

    def answer(self, request: Request) -> Answer:
        for method, pattern, respond in ROUTES:
            verb = "GET" if request.method == "HEAD" else request.method
            if verb == method and (found := pattern.fullmatch(request.path)):
                parts = {name: unquote(part) for name, part in found.groupdict().items() if part is not None}
                try:
                    return respond(self, request, **parts)
                except QueryError as problem:
                    raise RefusalError(400, str(problem)) from problem
        raise RefusalError(404, "Sorry, we can't find the page you are looking for.")

    # Who is asking

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

    # Reading

    def models(self, request: Request) -> Answer:
        found = listed(self.store, request.query, self.sees(request))
        shown, cursor = page(found, request.query, self.page_size)
        said = [describe(repo, repo.newest, request.query, alone=False) for repo in shown]
        return as_json(said, **self._next(request, cursor))

    def model(self, request: Request, repo: str, rev: str = "main") -> Answer:
        found, commit = self.at(request, repo, rev)
        return as_json(describe(found, commit, request.query, alone=True))

    def tree(self, request: Request, repo: str, rev: str, folder: str = "") -> Answer:
        found, commit = self.at(request, repo, rev)
        deep = request.query.get("recursive", ["false"])[0].lower() == "true"
        expand = request.query.get("expand", ["false"])[0].lower() == "true"
        said: dict[str, dict] = {}
        for name, blob in sorted(commit.files.items()):
            parts = PurePosixPath(name)
            if folder and PurePosixPath(folder) not in parts.parents:
                continue
            for parent in reversed(parts.parents[:-1]):
                if folder not in ("", str(parent)) and PurePosixPath(folder) not in parent.parents:
                    continue
                if str(parent) != folder and (deep or str(parent.parent) == (folder or ".")):
                    oid = hashlib.sha1(str(parent).encode()).hexdigest()
                    said[str(parent)] = {"type": "directory", "oid": oid, "size": 0, "path": str(parent)}
            if deep or str(parts.parent) == (folder or "."):
                said[name] = entry(name, blob, found, commit, expand)
        if folder and not said:
            raise RefusalError(404, f"{folder} does not exist on {rev!r}", "EntryNotFound")
        shown, cursor = page(list(said.values()), request.query, min(self.page_size, 50 if expand else 1000))
        return as_json(shown, **self._next(request, cursor))

    def paths(self, request: Request, repo: str, rev: str) -> Answer:
        found, commit = self.at(request, repo, rev)
        asked = request.form().get("paths", [])
        return as_json(
            [entry(name, commit.files[name], found, commit, False) for name in asked if name in commit.files]
        )

    def refs(self, request: Request, repo: str) -> Answer:
        found = self.repo(request, repo)

        def said(kind: str, names: dict[str, str]) -> list[dict]:
            return [
                {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": at} for name, at in names.items()
            ]

        return as_json(
            {"branches": said("heads", found.branches), "tags": said("tags", found.marks), "converts": []}
        )

    def commits(self, request: Request, repo: str, rev: str) -> Answer:
        found, newest = self.at(request, repo, rev)
        before = [each for each in found.commits.values() if each.date <= newest.date]
        said = [
            {
                "id": each.id,
                "title": each.title,
                "message": "",
                "date": stamp(each.date),
                "authors": [{"user": found.owner}],
            }
            for each in sorted(before, key=lambda each: -each.date)
        ]
        return as_json(said)

    def resolve(self, request: Request, repo: str, rev: str, file: str) -> Answer:
        found, commit = self.at(request, repo, rev)
        lie = found.lies.get(file, {})
        headers = {"X-Repo-Commit": lie.get("commit", commit.id)}
        if file not in commit.files:
            raise RefusalError(404, "Entry not found", "EntryNotFound", **headers)
        self.readable(request, found)
        blob = commit.files[file]
        headers["Content-Disposition"] = (
            f'inline; filename="{PurePosixPath(file).name.encode("ascii", "replace").decode()}";'
        )
        if blob.sha256 is None:
            return Answer(200, headers | {"Content-Type": "text/plain; charset=utf-8"}, blob.path, blob.etag)
        headers["X-Linked-Etag"] = f'"{lie.get("sha256", blob.etag)}"'
        headers["X-Linked-Size"] = str(lie.get("size", blob.size))
        headers["Location"] = (
            f"{self.large_host}/large/{found.name}/{blob.sha256}/{PurePosixPath(file).name}?Signature=x"
        )
        return Answer(302, headers, f"Found. Redirecting to {headers['Location']}".encode())

    def large(self, request: Request, repo: str, sha256: str, file: str) -> Answer:
        """The other host: it asks for a signed address instead of a token, and has ETags of its own."""
        if request.host.startswith("127.") or "Signature" not in request.query:
            raise RefusalError(403, "Access denied")
        blob = self.store.large.get(sha256)
        if blob is None:
            raise RefusalError(404, "No such key")
        tag = hashlib.md5(sha256.encode(), usedforsecurity=False).hexdigest() + "-1"
        return Answer(200, {"Content-Type": "application/octet-stream"}, blob.path, tag)

    def _next(self, request: Request, cursor: str) -> dict[str, str]:
        if not cursor:
            return {}
        query = urlencode(request.query | {"cursor": [cursor]}, doseq=True)
        return {"Link": f'<{self.endpoint}{request.path}?{query}>; rel="next"'}

    # Accounts

    def whoami(self, request: Request) -> Answer:
        who = self.who(request)
        if who is None:
            raise RefusalError(401, "Invalid username or password.")
        access = {"displayName": "studio", "role": who.role}
        said = {
            "type": "user",
            "id": who.name,
            "name": who.name,
            "fullname": who.name.title(),
            "isPro": False,
        }
        groups = [{"type": "org", "name": group, "fullname": group} for group in who.groups]
        return as_json(said | {"orgs": groups, "auth": {"type": "access_token", "accessToken": access}})

    def device(self, request: Request) -> Answer:
        if not request.form().get("client_id"):
            return as_json({"error": "invalid_client"}, 400)
        return as_json(self.accounts.begin(self.endpoint))

    def token(self, request: Request) -> Answer:
        form = request.form()
        if form.get("grant_type") != ["urn:ietf:params:oauth:grant-type:device_code"]:
            return as_json({"error": "unsupported_grant_type"}, 400)
        status, said = self.accounts.poll(form.get("device_code", [""])[0])
        return as_json(said, status)

    def may_read(self, request: Request, repo: str) -> Answer:
        self.readable(request, self.repo(request, repo))
        return as_json({})

    # Writing

    def create(self, request: Request) -> Answer:
        asked = request.json()
        who = self.who(request)
        owner = asked.get("organization") or (who.name if who else "")
        self.writer(request, owner)
        name = f"{owner}/{asked['name']}"
        if name in self.store.repos:
            raise RefusalError(409, "You already created this model repo")
        repo = Repo(name, private=asked.get("visibility") == "private")
        self.store.repos[name] = repo
        self.store.commit(
            repo,
            {".gitattributes": self.store.keep(".gitattributes", b"*.safetensors lfs\n")},
            "initial commit",
        )
        return as_json({"url": f"{self.endpoint}/{name}", "name": name, "id": repo.newest.id[:24]})

    def delete(self, request: Request) -> Answer:
        asked = request.json()
        who = self.who(request)
        owner = asked.get("organization") or (who.name if who else "")
        self.writer(request, owner)
        if self.store.repos.pop(f"{owner}/{asked['name']}", None) is None:
            raise RefusalError(404, "Repository not found", "RepoNotFound")
        return as_json({})

    def check_card(self, request: Request) -> Answer:
        parts = request.json()["content"].split("---\n", 2)
        if len(parts) < 3 or parts[0].strip():
            return as_json(
                {"errors": [], "warnings": [{"message": "empty or missing yaml metadata in repo card"}]}
            )
        try:
            found = yaml.safe_load(parts[1])
        except yaml.YAMLError as problem:
            return as_json({"errors": [{"message": str(problem)}], "warnings": []}, 400)
        wrong = [] if isinstance(found, dict) else [{"message": "metadata must be an object"}]
        return as_json({"errors": wrong, "warnings": []}, 400 if wrong else 200)

    def before_upload(self, request: Request, repo: str, rev: str) -> Answer:
        found, commit = self.at(request, repo, rev)
        self.writer(request, found.owner)
        said = []
        for file in request.json()["files"]:
            large = PurePosixPath(file["path"]).suffix in LARGE or file["size"] > LARGE_SIZE
            known = commit.files.get(file["path"])
            oid = None if known is None else known.etag
            mode = "lfs" if large else "regular"
            said.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return as_json({"files": said})

    def batch(self, request: Request, repo: str) -> Answer:
        self.writer(request, self.repo(request, repo).owner)
        objects = []
        for each in request.json()["objects"]:
            said = {"oid": each["oid"], "size": each["size"], "authenticated": True}
            if each["oid"] not in self.store.large:
                href = f"{self.large_host}/upload/{each['oid']}?Signature=x"
                check = f"{self.endpoint}/{repo}.git/info/lfs/verify"
                said["actions"] = {
                    "upload": {"href": href, "header": {}},
                    "verify": {"href": check, "header": {}},
                }
            objects.append(said)
        return as_json({"transfer": "basic", "objects": objects})

    def upload(self, request: Request, sha256: str) -> Answer:
        if request.host.startswith("127.") or "Signature" not in request.query:
            raise RefusalError(403, "Access denied")
        if hashlib.sha256(request.body).hexdigest() != sha256:
            raise RefusalError(400, "The content's hash is another one")
        self.store.keep("upload.bin", request.body)
        return Answer(200, {"ETag": f'"{sha256[:32]}"'})

    def verify(self, request: Request, repo: str) -> Answer:
        self.writer(request, self.repo(request, repo).owner)
        asked = request.json()
        blob = self.store.large.get(asked["oid"])
        if blob is None or blob.size != asked["size"]:
            raise RefusalError(404, "The object is not there")
        return as_json({})

    def add_commit(self, request: Request, repo: str, rev: str) -> Answer:
        found, before = self.at(request, repo, rev)
        self.writer(request, found.owner)
        if rev not in found.branches:
            raise RefusalError(400, f"{rev} is no branch")
        lines = [json.loads(line) for line in request.body.splitlines()]
        header, files = lines[0]["value"], dict(before.files)
        parent = header.get("parentCommit")
        if parent and not before.id.startswith(parent):
            raise RefusalError(412, "A commit has happened since. Please refresh and try again.")
        for line in lines[1:]:
            value, name = line["value"], line["value"]["path"]
            if line["key"] == "file":
                files[name] = self.store.keep("regular", base64.b64decode(value["content"]))
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.store.large:
                    raise RefusalError(400, f"The content of {name} was never uploaded")
                files[name] = self.store.large[value["oid"]]
            elif line["key"] == "deletedFile" and name in files:
                del files[name]
            elif line["key"] == "deletedFolder":
                files = {
                    each: blob for each, blob in files.items() if not each.startswith(name.rstrip("/") + "/")
                }
            else:
                raise RefusalError(404, "A file with this name doesn't exist", "EntryNotFound")
        commit = self.store.commit(found, files, header["summary"], rev)
        self.uploads.append(
            {"repo": repo, "commit": commit.id, "title": header["summary"], "files": sorted(files)}
        )
        url = f"{self.endpoint}/{repo}/commit/{commit.id}"
        return as_json({"success": True, "commitOid": commit.id, "commitUrl": url, "hookOutput": ""})


REPO, REV = r"(?P<repo>[^/]+(?:/[^/]+)?)", r"(?P<rev>[^/]+)"
PAIR = r"(?P<repo>[^/]+/[^/]+)"
ROUTES = [
    (method, re.compile(pattern), respond)
    for method, pattern, respond in (
        ("GET", r"/api/models", Hub.models),
        ("GET", r"/api/whoami-v2", Hub.whoami),
        ("POST", r"/oauth/device", Hub.device),
        ("POST", r"/oauth/token", Hub.token),
        ("POST", r"/api/repos/create", Hub.create),
        ("DELETE", r"/api/repos/delete", Hub.delete),
        ("POST", r"/api/validate-yaml", Hub.check_card),
        ("GET", rf"/api/models/{REPO}/revision/{REV}", Hub.model),
        ("GET", rf"/api/models/{REPO}/tree/{REV}(?:/(?P<folder>.+))?", Hub.tree),
        ("POST", rf"/api/models/{REPO}/paths-info/{REV}", Hub.paths),
        ("GET", rf"/api/models/{REPO}/refs", Hub.refs),
        ("GET", rf"/api/models/{REPO}/commits/{REV}", Hub.commits),
        ("GET", rf"/api/models/{REPO}/auth-check", Hub.may_read),
        ("POST", rf"/api/models/{REPO}/preupload/{REV}", Hub.before_upload),
        ("POST", rf"/api/models/{REPO}/commit/{REV}", Hub.add_commit),
        ("GET", rf"/api/models/{PAIR}", Hub.model),
        ("GET", r"/api/models/(?P<repo>[^/]+)", Hub.model),
        ("POST", rf"/{REPO}\.git/info/lfs/objects/batch", Hub.batch),
        ("POST", rf"/{REPO}\.git/info/lfs/verify", Hub.verify),
        ("GET", rf"/large/{PAIR}/(?P<sha256>[0-9a-f]{{64}})/(?P<file>[^/]+)", Hub.large),
        ("PUT", r"/upload/(?P<sha256>[0-9a-f]{64})", Hub.upload),
        ("GET", rf"/{REPO}/resolve/{REV}/(?P<file>.+)", Hub.resolve),
    )
]

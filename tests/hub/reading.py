"""What the test Hub answers to those who look around: lists, repositories, trees, files."""

import hashlib
from pathlib import PurePosixPath
from urllib.parse import urlencode

from tests.hub.core import Answer, Hub, RefusalError, Request, as_json
from tests.hub.listing import describe, entry, listed, page, stamp

__all__ = ["commits", "large", "model", "models", "paths", "refs", "resolve", "tree"]


def models(hub: Hub, request: Request) -> Answer:
    found = listed(hub.store, request.query, hub.sees(request))
    shown, cursor = page(found, request.query, hub.page_size)
    said = [describe(repo, repo.newest, request.query, alone=False) for repo in shown]
    return as_json(said, **_next(hub, request, cursor))


def model(hub: Hub, request: Request, repo: str, rev: str = "main") -> Answer:
    found, commit = hub.at(request, repo, rev)
    return as_json(describe(found, commit, request.query, alone=True))


def tree(hub: Hub, request: Request, repo: str, rev: str, folder: str = "") -> Answer:
    found, commit = hub.at(request, repo, rev)
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
    shown, cursor = page(list(said.values()), request.query, min(hub.page_size, 50 if expand else 1000))
    return as_json(shown, **_next(hub, request, cursor))


def paths(hub: Hub, request: Request, repo: str, rev: str) -> Answer:
    found, commit = hub.at(request, repo, rev)
    asked = request.form().get("paths", [])
    return as_json(
        [entry(name, commit.files[name], found, commit, False) for name in asked if name in commit.files]
    )


def refs(hub: Hub, request: Request, repo: str) -> Answer:
    found = hub.repo(request, repo)

    def said(kind: str, names: dict[str, str]) -> list[dict]:
        return [
            {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": at} for name, at in names.items()
        ]

    return as_json(
        {"branches": said("heads", found.branches), "tags": said("tags", found.marks), "converts": []}
    )


def commits(hub: Hub, request: Request, repo: str, rev: str) -> Answer:
    found, newest = hub.at(request, repo, rev)
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


def resolve(hub: Hub, request: Request, repo: str, rev: str, file: str) -> Answer:
    found, commit = hub.at(request, repo, rev)
    lie = found.lies.get(file, {})
    headers = {"X-Repo-Commit": lie.get("commit", commit.id)}
    if file not in commit.files:
        raise RefusalError(404, "Entry not found", "EntryNotFound", **headers)
    hub.readable(request, found)
    blob = commit.files[file]
    headers["Content-Disposition"] = (
        f'inline; filename="{PurePosixPath(file).name.encode("ascii", "replace").decode()}";'
    )
    if blob.sha256 is None:
        return Answer(200, headers | {"Content-Type": "text/plain; charset=utf-8"}, blob.path, blob.etag)
    headers["X-Linked-Etag"] = f'"{lie.get("sha256", blob.etag)}"'
    headers["X-Linked-Size"] = str(lie.get("size", blob.size))
    headers["Location"] = (
        f"{hub.large_host}/large/{found.name}/{blob.sha256}/{PurePosixPath(file).name}?Signature=x"
    )
    return Answer(302, headers, f"Found. Redirecting to {headers['Location']}".encode())


def large(hub: Hub, request: Request, repo: str, sha256: str, file: str) -> Answer:
    """The other host: it asks for a signed address instead of a token, and has ETags of its own."""
    if request.host.startswith("127.") or "Signature" not in request.query:
        raise RefusalError(403, "Access denied")
    blob = hub.store.large.get(sha256)
    if blob is None:
        raise RefusalError(404, "No such key")
    tag = hashlib.md5(sha256.encode(), usedforsecurity=False).hexdigest() + "-1"
    return Answer(200, {"Content-Type": "application/octet-stream"}, blob.path, tag)


def _next(hub: Hub, request: Request, cursor: str) -> dict[str, str]:
    if not cursor:
        return {}
    query = urlencode(request.query | {"cursor": [cursor]}, doseq=True)
    return {"Link": f'<{hub.endpoint}{request.path}?{query}>; rel="next"'}

"""How the test Hub describes repositories: one at a time, and in pages of a search."""

import base64
from datetime import UTC, datetime

from tests.hub.store import Blob, Commit, Repo, Store

__all__ = ["QueryError", "describe", "entry", "listed", "page"]

# The queries that the models' list understands; another one is a mistake of whoever asks.
ASKED = {"filter", "search", "author", "sort", "direction", "limit", "full", "config", "cardData"}
ASKED |= {"expand", "gated", "pipeline_tag", "num_parameters", "cursor"}
SORTS = {
    "downloads": lambda repo: repo.downloads,
    "likes": lambda repo: repo.likes,
    "trendingScore": lambda repo: repo.trending,
    "lastModified": lambda repo: repo.newest.date,
    "createdAt": lambda repo: min(commit.date for commit in repo.commits.values()),
}
BRIEF = [
    "createdAt",
    "downloads",
    "library_name",
    "likes",
    "pipeline_tag",
    "private",
    "tags",
    "trendingScore",
]
FULL = [*BRIEF, "author", "disabled", "gated", "lastModified", "sha", "siblings"]
ALONE = [
    *FULL,
    "cardData",
    "config",
    "safetensors",
    "spaces",
    "usedStorage",
    "transformersInfo",
    "model-index",
]
FACTORS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


class QueryError(Exception):
    """A query with a field that the Hub does not know."""


def listed(store: Store, query: dict[str, list[str]], sees) -> list[Repo]:
    """The repositories that a query of the models' list finds, in its order."""
    if strange := set(query) - ASKED:
        raise QueryError(f"Unknown query: {', '.join(sorted(strange))}")

    def first(name: str, default=""):
        return query.get(name, [default])[0]

    found = [repo for repo in store.repos.values() if sees(repo)]
    if words := first("search").lower().split():
        found = [repo for repo in found if all(word in repo.name.lower() for word in words)]
    if author := first("author"):
        found = [repo for repo in found if repo.owner == author]
    if gated := first("gated"):
        found = [repo for repo in found if bool(repo.gated) == (gated.lower() == "true")]
    if task := first("pipeline_tag"):
        found = [repo for repo in found if repo.task == task]
    if wanted := set(query.get("filter", [])):
        found = [repo for repo in found if wanted <= set(repo.all_tags())]
    if span := first("num_parameters"):
        low, high = _span(span)
        found = [repo for repo in found if low <= _parameters(repo) <= high]
    sort = first("sort", "trendingScore")
    if sort not in SORTS:
        raise QueryError(f"Cannot sort by {sort}")
    return sorted(found, key=SORTS[sort], reverse=first("direction", "-1") == "-1")


def page(items: list, query: dict[str, list[str]], most: int) -> tuple[list, str]:
    """The items of one page, and the cursor of the next, "" after the last."""
    limit = min(int(query.get("limit", [str(most)])[0]), most)
    cursor = query.get("cursor", [""])[0]
    start = int(base64.urlsafe_b64decode(cursor)) if cursor else 0
    rest = items[start + limit :]
    return items[start : start + limit], base64.urlsafe_b64encode(
        b"%d" % (start + limit)
    ).decode() if rest else ""


def describe(repo: Repo, commit: Commit, query: dict[str, list[str]], alone: bool) -> dict:
    """A repository as JSON: what ``expand`` names, else what its kind of request brings."""
    if expand := query.get("expand"):
        fields = expand
    elif alone:
        fields = ALONE
    else:
        fields = FULL if query.get("full", [""])[0].lower() == "true" else BRIEF
        fields = fields + [each for each in ("config", "cardData") if each in query]
    said = {"_id": commit.id[:24], "id": repo.name, "modelId": repo.name}
    if unknown := [each for each in fields if each not in FIELDS]:
        raise QueryError(f"Cannot expand {', '.join(unknown)}")
    said |= {each: FIELDS[each](repo, commit) for each in fields}
    if "blobs" in query:
        said["siblings"] = [_sibling(name, blob, repo) for name, blob in commit.files.items()]
    if "securityStatus" in query:
        issues = [{"path": name, "level": level} for name, level in repo.security.items()]
        said["securityRepoStatus"] = {"scansDone": True, "filesWithIssues": issues}
    return {key: value for key, value in said.items() if value is not None}


def entry(name: str, blob: Blob, repo: Repo, commit: Commit, expand: bool) -> dict:
    """A file as the tree lists it."""
    size, sha256 = _claimed(name, blob, repo)
    said: dict = {"type": "file", "oid": blob.oid, "size": size, "path": name}
    if sha256:
        said["lfs"] = {"oid": sha256, "size": size, "pointerSize": blob.pointer_size}
    if expand:
        level = repo.security.get(name, "safe")
        said["lastCommit"] = {"id": commit.id, "title": commit.title, "date": stamp(commit.date)}
        said["securityFileStatus"] = {"status": level, "avScan": {"status": level}, "pickleImportScan": None}
    return said


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _claimed(name: str, blob: Blob, repo: Repo) -> tuple[int, str | None]:
    lie = repo.lies.get(name, {})
    return lie.get("size", blob.size), lie.get("sha256", blob.sha256)


def _sibling(name: str, blob: Blob, repo: Repo) -> dict:
    size, sha256 = _claimed(name, blob, repo)
    said: dict = {"rfilename": name, "size": size, "blobId": blob.oid}
    if sha256:
        said["lfs"] = {"sha256": sha256, "size": size, "pointerSize": blob.pointer_size}
    return said


def _parameters(repo: Repo) -> int:
    return (repo.newest.facts["safetensors"] or {"total": 0})["total"]


def _span(text: str) -> tuple[float, float]:
    parts = dict(part.split(":") for part in text.split(","))
    low, high = parts.get("min", "0"), parts.get("max", "999999T")
    return _number(low), _number(high)


def _number(text: str) -> float:
    unit = text[-1] if text[-1].isalpha() else ""
    return float(text.removesuffix(unit)) * FACTORS[unit]


FIELDS = {
    "author": lambda repo, commit: repo.owner,
    "baseModels": lambda repo, commit: (
        {"relation": "adapter", "models": [{"_id": "0", "id": repo.base or commit.facts["base"]}]}
        if repo.base or commit.facts["base"]
        else None
    ),
    "cardData": lambda repo, commit: commit.facts["card"] or None,
    "config": lambda repo, commit: commit.facts["config"] or None,
    "createdAt": lambda repo, commit: stamp(min(each.date for each in repo.commits.values())),
    "disabled": lambda repo, commit: False,
    "downloads": lambda repo, commit: repo.downloads,
    "downloadsAllTime": lambda repo, commit: repo.downloads * 10,
    "gated": lambda repo, commit: repo.gated,
    "gguf": lambda repo, commit: None,
    "lastModified": lambda repo, commit: stamp(repo.newest.date),
    "library_name": lambda repo, commit: commit.facts["library"] or None,
    "likes": lambda repo, commit: repo.likes,
    "model-index": lambda repo, commit: None,
    "pipeline_tag": lambda repo, commit: repo.task or None,
    "private": lambda repo, commit: repo.private,
    "safetensors": lambda repo, commit: commit.facts["safetensors"],
    "sha": lambda repo, commit: commit.id,
    "siblings": lambda repo, commit: [{"rfilename": name} for name in commit.files],
    "spaces": lambda repo, commit: [],
    "tags": lambda repo, commit: repo.all_tags(),
    "transformersInfo": lambda repo, commit: None,
    "trendingScore": lambda repo, commit: repo.trending,
    "usedStorage": lambda repo, commit: sum(blob.size for blob in commit.files.values()),
}

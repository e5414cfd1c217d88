"""What a person types or pastes to name a repository: `user/model`, with a revision or as an address."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from huggingface_hub import constants

__all__ = ["Address", "configured_hub", "is_repo", "is_revision", "parse_address"]

HOSTS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})

_PART = r"\w(?:[\w.-]*\w)?"
_REPO = re.compile(rf"{_PART}/{_PART}", re.ASCII)
_NAME = re.compile(_PART, re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9][\w./-]{0,120}", re.ASCII)
_ELSEWHERE = frozenset({"datasets", "spaces", "collections", "papers", "docs", "api", "kernels", "buckets"})
_PAGES = frozenset({"tree", "blob", "resolve", "commit", "raw", "commits"})
LONGEST = 96


@dataclass(frozen=True, slots=True)
class Address:
    """A repository of models and a branch, tag or commit of it, "main" where none was named."""

    repo: str
    revision: str = "main"


def configured_hub() -> str:
    """The address of the Hub that this process asks, "" where HF_HUB_OFFLINE lets it ask none."""
    return "" if constants.is_offline_mode() else constants.ENDPOINT


def parse_address(text: str) -> Address | None:
    """The repository that ``text`` names, or None if it is something else: words to search for, a path, the
    address of another site. Understands user/model, user/model@revision, hf://... and pages of the Hub."""
    text = text.strip()
    if "://" in text or text.startswith(("hf.co/", "huggingface.co/")):
        return _from_url(text)
    repo, at, revision = text.partition("@")
    return _address(repo, revision if at else "main")


def _from_url(text: str) -> Address | None:
    try:
        url = urlsplit(text if "://" in text else f"https://{text}")
        host = (url.hostname or "").lower()
    except ValueError:
        return None
    if url.scheme == "hf":
        path = f"{url.netloc}{url.path}".removeprefix("models/")
        user, _, rest = path.partition("/")
        name, at, revision = rest.split("/")[0].partition("@")
        return _address(f"{user}/{name}", unquote(revision) if at else "main")
    home = urlsplit(constants.ENDPOINT)
    if url.scheme not in ("http", "https") or host not in HOSTS | {(home.hostname or "").lower()}:
        return None
    path = url.path.removeprefix(home.path) if host == home.hostname else url.path
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if len(parts) < 2 or parts[0] in _ELSEWHERE:
        return None
    revision = parts[3] if len(parts) > 3 and parts[2] in _PAGES else "main"
    return _address("/".join(parts[:2]), revision)


def is_repo(name: str) -> bool:
    """Whether this can be the name of a repository: user/model, or one of the old names without a user."""
    whole = _REPO.fullmatch(name) or _NAME.fullmatch(name)
    return bool(whole) and len(name) <= LONGEST and ".." not in name and "--" not in name


def is_revision(name: str) -> bool:
    """Whether this can be the name of a branch or tag, or a commit."""
    return bool(_REVISION.fullmatch(name)) and ".." not in name


def _address(repo: str, revision: str) -> Address | None:
    if "/" not in repo or not is_repo(repo):
        return None
    if not is_revision(revision):
        return None
    return Address(repo, revision)

"""Looking around on a Hub: search, one repository in full, who is signed in."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import huggingface_hub as hf
from huggingface_hub import constants

from engine.formats.errors import StudioError
from engine.hub.address import is_repo, parse_address
from engine.hub.errors import asking
from engine.hub.listing import Room, count, read_repo
from engine.hub.plan import selection
from engine.hub.search import Searches
from engine.hub.session import api_with, headers_with, open_session
from engine.hub.text import clean, clean_page
from engine.messages import Account, HubDetails, HubFile, HubPage, HubRevision, SearchHub

__all__ = ["Hub", "page_of"]

CARD = 256 << 10
"""Bytes of a model card that are read."""

REVISIONS = 500
FILES = 20_000
RECHECK = 300.0
"""Seconds for which the Hub is not asked again whose token it is: it counts such questions strictly."""


def page_of(repo: str) -> str:
    """The address of a repository's page."""
    return f"{constants.ENDPOINT}/{repo}"


class Hub:
    """The Hub that is configured (HF_ENDPOINT), asked in the name of ``token()``.

    Its calls block and may be made from several threads at once. Each fails with a StudioError: offline,
    sign-in, gated, limited, missing or failed.
    """

    def __init__(self, token: Callable[[], str | None]) -> None:
        self._token = token
        self._searches = Searches()
        self._known: tuple[str, float, str, str] = ("", 0.0, "", "")

    @property
    def endpoint(self) -> str:
        return constants.ENDPOINT

    def search(self, request: SearchHub) -> HubPage:
        """A part of what is found. ``base`` has to be a repository of the Hub; ``have`` is not filled in.

        The address of a repository, or user/model, finds that one whatever else is asked for.
        """
        if not 1 <= request.limit <= 1000 or request.skip < 0:
            raise StudioError("usage", "A part of a list has 1 to 1000 entries.", "Ask for fewer.")
        if address := parse_address(request.text):
            try:
                repo = self.show(address.repo, address.revision, request.room).repo
                return HubPage(repos=[repo] if request.skip == 0 else [])
            except StudioError as error:
                # What looks like an address may also be a part of a name.
                if error.code != "missing" or "://" in request.text:
                    raise
        elif "://" in request.text:
            raise StudioError(
                "usage",
                f"That is no address of a model on {self.endpoint}.",
                "Paste that of its page there, or type user/model.",
            )
        open_session()
        with asking():
            return self._searches.page(request, headers_with(self._token()))

    def show(self, repo: str, revision: str = "main", room: Room = "adapters") -> HubDetails:
        """Everything about one repository but a verdict."""
        token = self._token()
        api = api_with(token)
        with asking(repo):
            info = api.model_info(repo, revision=revision, securityStatus=True, files_metadata=True)
            repo = info.id if is_repo(info.id) else repo  # it may have been renamed
            card = _read_card(repo, _commit(info), token)
            return HubDetails(
                repo=read_repo(info, room),
                commit=_commit(info),
                files=_files(info, room)[:FILES],
                revisions=_revisions(api, repo),
                card=card,
                security=_security(info.security_repo_status),
                address=page_of(repo),
            )

    def newest(self, repo: str) -> str:
        """The commit that main means now."""
        with asking(repo):
            return _commit(api_with(self._token()).model_info(repo))

    def account(self) -> Account:
        """Who is signed in, and whether the Hub can be reached; where the token lies is not said here."""
        token = self._token()
        try:
            self.reach()  # whose token it is may be known without asking
            name = "" if token is None else self.owner(token)[0]
            return Account(endpoint=self.endpoint, name=name)
        except StudioError as error:
            return Account(endpoint=self.endpoint, problem=str(error))

    def owner(self, token: str) -> tuple[str, str]:
        """(name, scope) of a token; scope is read, write or fineGrained. StudioError("sign-in") if it is not
        valid."""
        known, until, name, scope = self._known
        if known != token or time.monotonic() > until:
            with asking():
                said = api_with(token).whoami()
                name = clean(said["name"], 100)
                access = (said.get("auth") or {}).get("accessToken") or {}  # one by code has none
                scope = clean(access.get("role"), 40)
            self._known = token, time.monotonic() + RECHECK, name, scope
        return name, scope

    def reach(self) -> None:
        """Knock, without a token. StudioError when nobody opens."""
        open_session()
        with asking():
            answer = hf.get_session().get(f"{self.endpoint}/api/models", params={"limit": 1})
            hf.hf_raise_for_status(answer)
            if not isinstance(answer.json(), list):
                raise ValueError("the answer is no list")


def _commit(info: hf.ModelInfo) -> str:
    commit = info.sha or ""
    if len(commit) != 40 or not set(commit) <= set("0123456789abcdef"):
        raise ValueError("the answer names no commit")
    return commit


def _files(info: hf.ModelInfo, room: Room) -> list[HubFile]:
    """The files of a repository that was asked about with their sizes, and which of them would be fetched."""
    files = info.siblings or []
    notes = selection(room, [file.rfilename for file in files])
    return [
        HubFile(
            name=clean(file.rfilename, 300),
            size=count(file.lfs.size if file.lfs else file.size),
            sha256=clean(file.lfs.sha256, 64) if file.lfs else "",
            wanted=not notes[file.rfilename],
            note=notes[file.rfilename],
        )
        for file in files
    ]


def _read_card(repo: str, commit: str, token: str | None) -> str:
    """The model card of one commit, "" where there is none or it may not be read."""
    address = hf.hf_hub_url(repo, "README.md", revision=commit, endpoint=constants.ENDPOINT)
    headers = headers_with(token) | {"Range": f"bytes=0-{CARD - 1}"}
    with hf.get_session().stream("GET", address, headers=headers) as answer:
        if answer.status_code in (401, 403, 404, 416):  # the last: it is empty
            return ""
        hf.hf_raise_for_status(answer)
        card = bytearray()
        for piece in answer.iter_bytes(1 << 14):
            card += piece
            if len(card) >= CARD:
                break
    return clean_page(card[:CARD].decode("utf-8", "replace"), CARD)


def _revisions(api: hf.HfApi, repo: str) -> list[HubRevision]:
    refs = api.list_repo_refs(repo)
    return [
        HubRevision(name=clean(ref.name, 120), commit=clean(ref.target_commit, 40))
        for ref in [*refs.branches, *refs.tags][:REVISIONS]
    ]


def _security(status: dict[str, Any] | None) -> str:
    """What the Hub's scanners say, as a sentence; "" when they say nothing."""
    if not status:
        return ""
    issues = [issue for issue in status.get("filesWithIssues") or [] if isinstance(issue, dict)]
    if issues:
        files = [f"{clean(one.get('path'), 80)} ({clean(one.get('level'), 20)})" for one in issues[:5]]
        more = f" and {len(issues) - 5} more" if len(issues) > 5 else ""
        return f"The Hub's scanners warn of {', '.join(files)}{more}."
    if status.get("scansDone"):
        return "The Hub's scanners found nothing wrong with its files."
    return "The Hub's scanners have not finished with its files."

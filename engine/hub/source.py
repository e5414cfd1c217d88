"""One GET of a file of the Hub, from any byte on: where it leads, and whether the answer is the right one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import httpx2
import huggingface_hub as hf
from huggingface_hub import constants

from engine.formats.errors import StudioError
from engine.hub.errors import explain, retry_after
from engine.hub.plan import Plan, PlannedFile
from engine.hub.session import headers_with

__all__ = ["Answer", "BusyError", "ChangedError", "Source", "busy"]

STALL = 30.0
"""Seconds without a byte after which a connection counts as dead."""

TIMES = httpx2.Timeout(STALL, connect=10.0)

REDIRECTS = 5

_BUSY = (408, 425, 429, 500, 502, 503, 504)
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class BusyError(Exception):
    """The server asks to be asked again, ``after`` seconds if it says so. ``error`` is that as a sentence."""

    def __init__(self, error: StudioError, after: float | None) -> None:
        super().__init__(error)
        self.error, self.after = error, after


class ChangedError(Exception):
    """The answer is not the file that was planned; a sentence says how. What was fetched may not be used."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A body that waits to be read: from which byte of the file it begins, and how the server calls this
    version of it, for the next time ("" if it does not)."""

    response: httpx2.Response
    begins: int
    version: str


class Source:
    """The files of one plan on the configured Hub, which alone is given the token."""

    def __init__(self, plan: Plan, token: str) -> None:
        self.plan = plan
        self._token = token
        self._client = httpx2.Client(timeout=TIMES, follow_redirects=False)

    def close(self) -> None:
        self._client.close()

    def open(self, file: PlannedFile, offset: int, version: str) -> Answer:
        """The body of ``file`` from ``offset`` on if it is still of ``version``, else from 0 on.

        BusyError, ChangedError, httpx2.TransportError, or StudioError for what trying again does not mend.
        """
        if constants.is_offline_mode():
            raise explain(hf.errors.OfflineModeIsEnabled())
        url = self.plan.address(file)
        for _ in range(REDIRECTS):
            response = self._ask(url, offset, version)
            if not response.has_redirect_location:
                break
            response.close()
            self._check_promise(response, file)
            url = _follow(url, response.headers["location"])
        else:
            raise StudioError("failed", f"The Hub sends {file.name} round in circles.", "Try again later.")
        try:
            return self._answer(response, file, offset, version)
        except BaseException:
            response.close()
            raise

    def _ask(self, url: str, offset: int, version: str) -> httpx2.Response:
        headers = headers_with(self._token if _is_hub(url) else None) | {"accept-encoding": "identity"}
        if offset:
            headers |= {"range": f"bytes={offset}-"} | ({"if-range": version} if version else {})
        return self._client.send(self._client.build_request("GET", url, headers=headers), stream=True)

    def _answer(self, response: httpx2.Response, file: PlannedFile, offset: int, version: str) -> Answer:
        if response.status_code == 416:
            raise ChangedError("The Hub's file ends before what has been fetched of it.")
        if response.status_code >= 400:
            raise self._refusal(response, file)
        called = response.headers.get("etag", "")
        if _is_hub(str(response.url)):
            self._check_promise(response, file)
            if called and _bare(called) != file.etag:
                raise ChangedError("The Hub's file has changed.")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise ChangedError("The Hub sends the file in another form than it was asked for.")
        length = response.headers.get("content-length", "")
        if response.status_code != 206:
            if length and length != str(file.size):
                raise ChangedError(f"The Hub's file has {length} bytes instead of {file.size}.")
            return Answer(response, 0, called)
        part = _RANGE.fullmatch(response.headers.get("content-range", ""))
        if not part or int(part[1]) != offset or int(part[2]) >= file.size:
            raise ChangedError("The Hub sends another part of the file than it was asked for.")
        if part[3] not in ("*", str(file.size)):
            raise ChangedError(f"The Hub's file has {part[3]} bytes instead of {file.size}.")
        if version and called and called != version:
            raise ChangedError("The Hub's file has changed.")
        return Answer(response, offset, called or version)

    def _check_promise(self, response: httpx2.Response, file: PlannedFile) -> None:
        """What the Hub itself says about the file, on the way to where it lies too."""
        said = response.headers
        if _bare(said.get("x-linked-etag", "")) not in ("", file.etag):
            raise ChangedError("The Hub's file has changed.")
        if said.get("x-linked-size", str(file.size)) != str(file.size):
            raise ChangedError(
                f"The Hub's file has {said['x-linked-size'][:20]} bytes instead of {file.size}."
            )
        if said.get("x-repo-commit", self.plan.commit) != self.plan.commit:
            raise ChangedError("The Hub sends the file of another commit.")

    def _refusal(self, response: httpx2.Response, file: PlannedFile) -> Exception:
        """What an answer of 400 and above means."""
        try:
            response.read()
            hf.hf_raise_for_status(response)
        except httpx2.HTTPError as error:
            if trouble := busy(error, self.plan.repo):
                return trouble
            if _is_hub(str(response.url)):
                return explain(error, self.plan.repo)
            sentence = (
                f"Where the Hub keeps {file.name}, it is not handed out (error {response.status_code})."
            )
            return BusyError(StudioError("failed", sentence, "Try again later."), retry_after(response))
        raise AssertionError("unreachable")


def busy(error: Exception, repo: str) -> BusyError | None:
    """``error`` as a BusyError if it is a server's wish to be asked again."""
    response = getattr(error, "response", None)
    if not isinstance(response, httpx2.Response) or response.status_code not in _BUSY:
        return None
    return BusyError(explain(error, repo), retry_after(response))


def _follow(url: str, location: str) -> str:
    """Where a redirect leads. StudioError("refused") for one out of a secure connection."""
    target = urljoin(url, location)
    kinds = urlsplit(url).scheme, urlsplit(target).scheme
    if kinds[1] not in ("http", "https") or kinds == ("https", "http"):
        raise StudioError(
            "refused",
            "The Hub sends us to an address that is not secure, which was not followed.",
            "Check HF_ENDPOINT, and what stands between this machine and the Hub.",
        )
    return target


def _is_hub(url: str) -> bool:
    return _origin(url) == _origin(constants.ENDPOINT)


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return (
        parts.scheme,
        (parts.hostname or "").lower(),
        parts.port or {"http": 80, "https": 443}.get(parts.scheme),
    )


def _bare(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')

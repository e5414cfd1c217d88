"""The beginnings of a repository's files, by HTTP Range, within a budget of bytes."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import quote, urljoin, urlsplit

import httpx2
import huggingface_hub as hf
from huggingface_hub import constants

from engine.formats.errors import StudioError
from engine.formats.plain import parse_json
from engine.hub.errors import asking
from engine.hub.session import headers_with, open_session

__all__ = ["Beginning", "Look"]

REDIRECTS = 5
REFUSAL = 4096
"""Bytes of an error's own words that are read."""

_COMMIT = re.compile(r"[0-9a-f]{40}")
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_SAID = ("x-error-code", "x-error-message", "retry-after", "ratelimit", "content-type")


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first bytes of a file, and how many it has."""

    data: bytes
    size: int


class _Body:
    """An answer whose body waits to be read, as it was sent; and which sizes of the file the Hub has
    ``promised`` on the way to it."""

    def __init__(self, answer: httpx2.Response, promised: set[str]) -> None:
        self.answer = answer
        self.promised = promised
        self._pieces = answer.iter_raw(2048)
        self._rest = b""

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes, fewer at the end."""
        data = self._rest
        while len(data) < count and (piece := next(self._pieces, b"")):
            data += piece
        self._rest = data[max(0, count) :]
        return data[: max(0, count)]


@dataclass
class Look:
    """One look at one revision of ``repo`` in the name of ``token``: at most ``left`` bytes of answers.

    ``commit`` is what the revision means, known from the first answer on; everything after it is asked of
    that commit. Blocks; fails with a StudioError of the Hub: offline, sign-in, gated, limited, missing,
    changed, failed.
    """

    repo: str
    revision: str
    token: str | None
    left: int
    commit: str = ""
    read: int = field(default=0, init=False)

    def beginning(self, name: str, first: int, need: Callable[[Beginning], int]) -> Beginning:
        """The beginning of ``name``: ``first`` bytes, then as many as ``need`` says of these, as far as the
        budget reaches. One request as a rule, two at most."""
        with asking(self.repo):
            found, whole = self._part(name, b"", first, need)
            wanted = min(need(found), found.size)
            if not whole and len(found.data) < wanted and self.left:
                more, whole = self._part(name, found.data, wanted, need)
                if whole or more.size != found.size:
                    raise self._contradiction(name)
                found = more
        return found

    def stamp(self, name: str) -> str:
        """The commit, by the headers of ``name`` alone: no byte of a body."""
        with asking(self.repo), self._answer(self._address(name), "HEAD", {}):
            pass
        return self.commit

    def files(self) -> dict[str, int]:
        """{file at the top: its bytes}. StudioError("failed") when the list is longer than the budget."""
        url = f"{constants.ENDPOINT}/api/models/{self.repo}/tree/{self._pin()}"
        with asking(self.repo), self._answer(url, "GET", {}) as body:
            listed = self._take(body, self.left)
            if not self.left:
                raise StudioError("failed", f"The list of files of {self.repo} is very long.", "")
            entries = parse_json(b'{"files":' + listed + b"}")["files"]
            return {str(each["path"]): int(each["size"]) for each in entries if each["type"] == "file"}

    def _part(
        self, name: str, before: bytes, until: int, need: Callable[[Beginning], int]
    ) -> tuple[Beginning, bool]:
        """The bytes up to ``until`` behind those from ``before``; and whether the server gives the file from
        its start, as one does that knows no parts: then on to what ``need`` says."""
        start, until = len(before), min(until, len(before) + self.left)
        asked = {"range": f"bytes={start}-{until - 1}"}
        with self._answer(self._address(name), "GET", asked) as body:
            if body.answer.status_code == 416:
                return Beginning(before, start), False
            whole = body.answer.status_code != 206
            size = self._size(body, name, start, until)
            data = before + self._take(body, until - start)
            if whole and not before:
                data += self._take(body, min(need(Beginning(data, size)), size) - len(data))
        return Beginning(data, size), whole

    def _size(self, body: _Body, name: str, start: int, until: int) -> int:
        """How many bytes the file has, by all that was said about it on the way."""
        answer, said = body.answer, set(body.promised)
        if answer.status_code == 206:
            part = _RANGE.fullmatch(answer.headers.get("content-range", ""))
            if not part or int(part[1]) != start or int(part[2]) >= until:
                raise self._contradiction(name)
            said.add(part[3])
        else:
            said.add(answer.headers.get("content-length", "*"))
        said.discard("*")
        if len(said) != 1 or not (size := said.pop()).isdecimal() or len(size) > 18:
            raise self._contradiction(name)
        return int(size)

    def _take(self, body: _Body, count: int) -> bytes:
        """The next ``count`` bytes of a body, as far as there are any and the budget reaches."""
        data = body.take(min(count, self.left))
        self.read += len(data)
        self.left -= len(data)
        return data

    @contextlib.contextmanager
    def _answer(self, url: str, method: str, asked: dict[str, str]) -> Iterator[_Body]:
        """The answer at the end of all redirects. The session keeps the token from other hosts."""
        open_session()
        headers = headers_with(self.token) | asked | {"accept-encoding": "identity"}
        promised: set[str] = set()
        for _ in range(REDIRECTS):
            session = hf.get_session()
            request = session.build_request(method, url, headers=headers)
            try:
                answer = session.send(request, stream=True, follow_redirects=False)
            except RuntimeError:
                if not session.is_closed:
                    raise
                continue  # the client closes the session of all threads when one cannot connect
            body = _Body(answer, promised)
            try:
                self._note(answer)
                if size := answer.headers.get("x-linked-size"):
                    promised.add(size)
                if answer.has_redirect_location:
                    if int(answer.headers.get("content-length", "0")[:9]) <= min(REFUSAL, self.left):
                        self._take(body, REFUSAL)  # so that the connection can be used again
                    url = _follow(url, answer.headers["location"])
                    continue
                self._check(body)
                yield body
                return
            finally:
                answer.close()
        raise StudioError("failed", f"The Hub sends us round in circles for {self.repo}.", "Try again later.")

    def _note(self, answer: httpx2.Response) -> None:
        """What the Hub says the revision means."""
        said = answer.headers.get("x-repo-commit", "")
        if answer.request.url.origin != httpx2.URL(constants.ENDPOINT).origin or not said:
            return
        if not _COMMIT.fullmatch(said) or (self.commit and said != self.commit):
            raise StudioError("changed", f"{self.repo} has changed while it was looked at.", "Look again.")
        self.commit = said

    def _check(self, body: _Body) -> None:
        answer = body.answer
        if answer.status_code >= 400 and answer.status_code != 416:
            words = self._take(body, REFUSAL) if answer.request.method != "HEAD" else b""
            kept = {name: answer.headers[name] for name in _SAID if name in answer.headers}
            hf.hf_raise_for_status(
                httpx2.Response(answer.status_code, headers=kept, content=words, request=answer.request)
            )
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise StudioError(
                "failed", f"The Hub packs the files of {self.repo}, so no part of them can be read.", ""
            )

    def _address(self, name: str) -> str:
        revision = self.commit or self.revision
        return str(hf.hf_hub_url(self.repo, name, revision=revision, endpoint=constants.ENDPOINT))

    def _pin(self) -> str:
        return self.commit or quote(self.revision, safe="")

    def _contradiction(self, name: str) -> StudioError:
        return StudioError(
            "failed",
            f"The Hub contradicts itself about how large {name} of {self.repo} is.",
            "Try again later.",
        )


def _follow(url: str, location: str) -> str:
    """Where a redirect leads. StudioError("refused") for one out of a secure connection."""
    target = urljoin(url, location)
    kinds = urlsplit(url).scheme, urlsplit(target).scheme
    if kinds[1] not in ("http", "https") or kinds == ("https", "http"):
        raise StudioError(
            "refused", "The Hub sends us to an address that is not secure.", "Check HF_ENDPOINT."
        )
    return target

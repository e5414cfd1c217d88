"""The HTTP session that all calls to a Hub share: time limits, patience, bounds, and the token's one way."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import httpx2
import huggingface_hub as hf
from huggingface_hub import constants
from huggingface_hub.utils import build_hf_headers, disable_progress_bars  # type: ignore[attr-defined]

from engine.formats.errors import StudioError
from engine.hub.errors import retry_after

__all__ = ["Patience", "api_with", "headers_with", "open_session", "patient"]

TIMES = httpx2.Timeout(10.0, connect=5.0)

WAIT = 20.0
"""Seconds that one call waits in all for a server that asks for a pause."""

LARGEST_ANSWER = 32 << 20
"""Bytes of an answer that is read at once; files are streamed and have bounds of their own."""

_BUSY = (429, 500, 502, 503, 504)


@dataclass
class Patience:
    """What one call may still wait for a busy server, until when it may last in all (seconds of
    ``time.monotonic``), and the event that ends it before."""

    left: float = WAIT
    until: float = float("inf")
    cancelled: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """StudioError("cancelled") for a call that nobody waits for any more."""
        if self.cancelled.is_set():
            raise StudioError("cancelled", "Cancelled.", "Ask again when you like.")

    def wait(self, seconds: float) -> bool:
        """Wait, if that much patience is left. False when it is not."""
        if seconds > self.left or time.monotonic() + seconds > self.until:
            return False
        self.left -= seconds
        self.cancelled.wait(seconds)
        self.check()
        return True


_patience: ContextVar[Patience | None] = ContextVar("_patience", default=None)


@contextlib.contextmanager
def patient(patience: Patience) -> Iterator[None]:
    """All requests of the block share one patience; without such a block each request has its own."""
    before = _patience.set(patience)
    try:
        yield
    finally:
        _patience.reset(before)


_opening = threading.Lock()


def open_session() -> None:
    """Let every call of huggingface_hub in this process go through a session of ours. Once is enough."""
    with _opening:  # a second factory would close the session that the first caller already uses
        if not isinstance(hf.get_session(), _Session):
            hf.set_client_factory(_Session)
            constants.HF_HUB_DISABLE_TELEMETRY = True  # the client would tell what machine this is
            disable_progress_bars()
        # It would write down every address, which are what one searches for, or signed.
        logging.getLogger("httpx2").setLevel(logging.WARNING)


def headers_with(token: str | None) -> dict[str, str]:
    """The headers of a request in the name of ``token``; without one nothing is sent that lies elsewhere."""
    return build_hf_headers(
        token=token or False, library_name="adapter-studio", library_version=version("adapter-studio")
    )


def api_with(token: str | None) -> hf.HfApi:
    """The client for one token; without one nothing is sent, not even one that lies elsewhere."""
    open_session()
    return hf.HfApi(
        endpoint=constants.ENDPOINT,
        token=token or False,
        library_name="adapter-studio",
        library_version=version("adapter-studio"),
    )


class _Session(httpx2.Client):
    """A busy server is asked again as it says, within bounds; a token goes to the configured Hub only."""

    def __init__(self) -> None:
        super().__init__(
            event_hooks={"request": [_keep_token_home]},
            follow_redirects=True,
            timeout=None,  # see send
        )

    def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        if constants.is_offline_mode():
            raise hf.errors.OfflineModeIsEnabled(f"{request.url.host} is not asked: HF_HUB_OFFLINE is set.")
        if not any(request.extensions.get("timeout", {}).values()):  # the client often asks without a limit
            request.extensions["timeout"] = TIMES.as_dict()
        patience = _patience.get() or Patience()
        repeatable = request.method in ("GET", "HEAD")
        pause, broken = 1.0, 0
        while True:
            patience.check()
            try:
                response = super().send(request, stream=True, **options)
                if stream and response.status_code not in _BUSY:
                    return response
                response = _read(response, patience)
            except (httpx2.ReadError, httpx2.RemoteProtocolError):
                # A connection that was kept open may have ended in the meantime.
                broken += 1
                if not repeatable or broken > 1:
                    raise
                continue
            if response.status_code not in _BUSY:
                return response
            told = retry_after(response)
            if not (repeatable and patience.wait(max(told, 0.2) if told is not None else pause)):
                # Raised here, since the client itself would wait for as long as the server likes.
                hf.hf_raise_for_status(response)
            pause *= 2


def _keep_token_home(request: httpx2.Request) -> None:
    """Called for each request, redirected ones too."""
    if request.url.origin != httpx2.URL(constants.ENDPOINT).origin:
        request.headers.pop("authorization", None)


def _read(response: httpx2.Response, patience: Patience) -> httpx2.Response:
    """The same answer, read to its end within bounds of size and time."""
    if response.request.method == "HEAD":
        response.close()
        return response
    body = bytearray()
    try:
        for piece in response.iter_bytes():
            body += piece
            if len(body) > LARGEST_ANSWER:
                raise httpx2.DecodingError("the answer is larger than any", request=response.request)
            if time.monotonic() > patience.until:
                raise httpx2.ReadTimeout("the answer does not end", request=response.request)
    finally:
        response.close()
    headers = [
        (name, value)
        for name, value in response.headers.multi_items()
        if name.lower() not in ("content-encoding", "transfer-encoding", "content-length")
    ]
    return httpx2.Response(
        response.status_code,
        headers=headers,
        content=bytes(body),
        request=response.request,
        history=response.history,
    )

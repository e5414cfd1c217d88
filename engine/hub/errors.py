"""What can go wrong with a Hub, as sentences: the client's errors, the connection's and the system's."""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import constants, errors

from engine.formats.errors import StudioError
from engine.formats.files import explain_os_error
from engine.hub.text import clean, redact

__all__ = ["asking", "explain", "retry_after"]

WITHOUT = "What is in the library works without the Hub."
LATER = "Try again in a while."
SIGN_IN = "Sign in with: adapter-studio hub signin"

_FULL = (errno.ENOSPC, errno.EDQUOT)


_FAILURES = (
    *(httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError),
    # What comes of an answer that is none of a Hub: a proxy's page, or something that only resembles a Hub.
    *(ValueError, KeyError, TypeError, AttributeError),
)


@contextlib.contextmanager
def asking(repo: str = "") -> Iterator[None]:
    """Whatever fails in the block while the Hub is asked (about ``repo``) leaves it as a StudioError."""
    try:
        yield
    except StudioError:
        raise
    except _FAILURES as error:
        raise explain(error, repo) from error


def explain(error: Exception, repo: str = "") -> StudioError:
    """``error`` of the Hub's client, its HTTP layer or the system as a sentence and a next step.

    Codes: offline, sign-in, gated, limited, missing, changed, failed, disk. Never contains a token.
    """
    if isinstance(error, StudioError):
        return error
    code, message, hint = _sentence(error, repo or clean(getattr(error, "repo_id", None) or ""))
    if code == "disk":
        assert isinstance(error, OSError)
        return explain_os_error(error, "fetching")
    return StudioError(code, message, hint, redact(f"{type(error).__name__}: {error}"))


def retry_after(response: httpx2.Response) -> float | None:
    """Seconds that a server asks to be left alone for, by Retry-After or its rate limit; None when it does
    not say."""
    told = response.headers.get("retry-after", "").strip()
    if told.isdigit():
        return float(told[:9])
    for part in response.headers.get("ratelimit", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name.strip() == "t" and value.strip().isdigit():
            return float(value.strip()[:9])
    return None


def _sentence(error: Exception, repo: str) -> tuple[str, str, str]:
    """(code, message, hint)"""
    for kind, tell in _KINDS:
        if isinstance(error, kind):
            return tell(error, repo)
    if isinstance(error, OSError) and error.errno in _FULL:
        return "disk", "", ""
    if isinstance(error, OSError):
        return "offline", f"{_host()} cannot be reached.", f"Check the connection. {WITHOUT}"
    return (
        "failed",
        f"{_host()} answers with something that is not understood.",
        "Check HF_ENDPOINT, and whether a proxy or a sign-in page of this network stands between.",
    )


def _gated(error: Exception, repo: str) -> tuple[str, str, str]:
    page = f"{constants.ENDPOINT}/{repo}" if repo else constants.ENDPOINT
    return (
        "gated",
        f"{repo or 'This repository'} is gated: whoever published it wants to be asked first.",
        f"Sign in, ask for access at {page}, and try again when it has been given.",
    )


def _missing(error: Exception, repo: str) -> tuple[str, str, str]:
    return (
        "missing",
        f"There is no {repo or 'such repository'} on {_host()}, or it is private.",
        "Check the spelling; if it is private, sign in first.",
    )


def _no_revision(error: Exception, repo: str) -> tuple[str, str, str]:
    what = repo or "The repository"
    return "missing", f"{what} has no such revision.", "Choose one of its branches, tags or commits."


def _no_file(error: Exception, repo: str) -> tuple[str, str, str]:
    return "missing", f"{repo or 'The repository'} has no such file.", "Look at the list of its files."


def _disabled(error: Exception, repo: str) -> tuple[str, str, str]:
    return "missing", f"{repo or 'The repository'} has been disabled by the Hub.", "Choose another one."


def _local(error: Exception, repo: str) -> tuple[str, str, str]:
    # The truth about a failed look-up lies beneath the client's own "not in the cache".
    cause = error.__cause__
    if isinstance(cause, Exception):
        return _sentence(cause, repo)
    return _unreachable(error, repo)


def _switched_off(error: Exception, repo: str) -> tuple[str, str, str]:
    return (
        "offline",
        "The Hub is switched off here by HF_HUB_OFFLINE.",
        f"Start the studio without it to use the Hub. {WITHOUT}",
    )


def _proxy(error: Exception, repo: str) -> tuple[str, str, str]:
    return "offline", f"The proxy does not let us through to {_host()}.", f"Check its settings. {WITHOUT}"


def _unreachable(error: Exception, repo: str) -> tuple[str, str, str]:
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        message = f"The connection to {_host()} is not secure: its certificate is not accepted."
        return "offline", message, f"Check this machine's clock and the network's proxy. {WITHOUT}"
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "offline", f"{_host()} cannot be found: there is no network, or no such host.", WITHOUT
    return "offline", f"{_host()} cannot be reached.", f"Check the connection. {WITHOUT}"


def _broken(error: Exception, repo: str) -> tuple[str, str, str]:
    return "offline", f"The connection to {_host()} broke off.", f"Try again. {WITHOUT}"


def _slow(error: Exception, repo: str) -> tuple[str, str, str]:
    return "limited", f"{_host()} takes too long to answer.", LATER


def _invalid(error: Exception, repo: str) -> tuple[str, str, str]:
    return "usage", "That is not the name of a repository.", "One looks like user/model."


def _no_token(error: Exception, repo: str) -> tuple[str, str, str]:
    return "sign-in", "Nobody is signed in to the Hub.", SIGN_IN


def _status(error: Exception, repo: str) -> tuple[str, str, str]:
    assert isinstance(error, httpx2.HTTPError)
    response: httpx2.Response = getattr(error, "response")  # noqa: B009 - of two unrelated classes
    status = response.status_code
    said = clean(getattr(error, "server_message", "") or "", 160)
    if status == 401:
        message = f"{_host()} does not accept the token, or wants one{f' for {repo}' if repo else ''}."
        return "sign-in", message, f"{SIGN_IN}, or forget the token with: adapter-studio hub signout"
    if status == 403:
        what = f"{repo} is not for this account" if repo else "This account may not do that"
        return "sign-in", f"{what}{f': {said}' if said else ''}.", f"{SIGN_IN}, as somebody who may."
    if status == 404:
        return _missing(error, repo)
    if status in (412, 416):
        return "changed", f"{repo or 'It'} has changed on the Hub in the meantime.", "Start again."
    if status == 429:
        return "limited", f"{_host()} asks for a pause: there were too many requests.", _when(response)
    if status >= 500 or status == 408:
        return "limited", f"{_host()} has trouble of its own (error {status}).", _when(response)
    return "failed", f"{_host()} refuses with error {status}{f': {said}' if said else ''}.", LATER


_KINDS: tuple[tuple[type[Exception], Callable[[Exception, str], tuple[str, str, str]]], ...] = (
    (errors.GatedRepoError, _gated),  # before the error that it is a kind of
    (errors.RepositoryNotFoundError, _missing),
    (errors.RevisionNotFoundError, _no_revision),
    (errors.LocalEntryNotFoundError, _local),
    (errors.EntryNotFoundError, _no_file),
    (errors.DisabledRepoError, _disabled),
    (errors.OfflineModeIsEnabled, _switched_off),
    (errors.LocalTokenNotFoundError, _no_token),
    (errors.HFValidationError, _invalid),
    (errors.HfHubHTTPError, _status),
    (httpx2.HTTPStatusError, _status),
    (httpx2.ProxyError, _proxy),
    (httpx2.ConnectTimeout, _unreachable),
    (httpx2.TimeoutException, _slow),
    (httpx2.ConnectError, _unreachable),
    (httpx2.UnsupportedProtocol, _unreachable),
    (httpx2.TransportError, _broken),
)


def _when(response: httpx2.Response) -> str:
    seconds = retry_after(response)
    if seconds is None:
        return LATER
    return f"Try again in {seconds:.0f} s." if seconds < 120 else f"Try again in {seconds / 60:.0f} min."


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(10):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _host() -> str:
    return urlsplit(constants.ENDPOINT).netloc or constants.ENDPOINT

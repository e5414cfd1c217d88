"""Signing in by a code that is typed in a browser (RFC 8628), and renewing what was granted so."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import httpx2
from huggingface_hub import constants, errors
from huggingface_hub.utils import _oauth_device  # private in 2.x, so nothing else of ours touches it

from engine.formats.errors import StudioError
from engine.hub.errors import asking, explain
from engine.hub.session import open_session
from engine.hub.text import clean

__all__ = ["Code", "Grant", "begin", "poll", "renew"]

LONGEST = 3600
"""Seconds that a code is waited for at most, whatever the Hub allows."""


@dataclass(frozen=True, slots=True)
class Code:
    """Type ``code`` at ``address`` within ``seconds``; ``device`` is our half of the secret."""

    code: str
    address: str
    seconds: int
    device: _oauth_device.DeviceCodeInfo = field(repr=False)


@dataclass(frozen=True, slots=True)
class Grant:
    """A token, what renews it ("" if nothing does), and when it ends (seconds since the epoch, 0 never)."""

    token: str = field(repr=False)
    refresh: str = field(default="", repr=False)
    expires: float = 0.0


def begin() -> Code:
    """Ask the Hub for a code. StudioError("sign-in") from a Hub that has no such way in."""
    open_session()
    with asking():
        try:
            info = _oauth_device.request_device_code()
        except errors.DeviceCodeError as error:
            raise _no_code(error) from error
        address = clean(info["verification_uri"])
        if not address.startswith(("https://", f"{constants.ENDPOINT}/")):
            raise ValueError("the page to type the code at is not on a secure connection")
        seconds = max(1, min(int(info["expires_in"]), LONGEST))
        info["expires_in"], info["interval"] = seconds, max(1, min(int(info["interval"]), 60))
        return Code(clean(info["user_code"], 40), address, seconds, info)


def poll(code: Code) -> Grant:
    """Wait until the code has been typed. StudioError("sign-in") when it has run out or was turned down, and
    "cancelled" at the next question to the Hub after the caller's patience was."""
    open_session()
    with asking():
        try:
            answer = _oauth_device.poll_device_token(code.device)
        except errors.DeviceCodeError as error:
            raise _refused(error) from error
        return _granted(dict(answer))


def renew(grant: Grant) -> Grant:
    """A new token for one that is about to end. StudioError("sign-in") when the Hub does not want to."""
    open_session()
    with asking():
        try:
            answer = _oauth_device.refresh_access_token(grant.refresh)
        except errors.DeviceCodeError as error:
            if isinstance(error.__cause__, httpx2.HTTPError):
                raise explain(error.__cause__) from error
            raise StudioError(
                "sign-in", "Signing in has run out.", "Sign in again.", f"{error.error_code}"
            ) from error
        return _granted({"refresh_token": grant.refresh, **answer})


def _granted(answer: dict[str, Any]) -> Grant:
    ends = int(answer.get("expires_in") or 0)
    return Grant(
        str(answer["access_token"]),
        str(answer.get("refresh_token") or ""),
        time.time() + ends if ends else 0.0,
    )


def _no_code(error: errors.DeviceCodeError) -> StudioError:
    cause = error.__cause__
    response = getattr(cause, "response", None)
    if isinstance(cause, Exception) and (response is None or response.status_code in (429, *range(500, 600))):
        return explain(cause)
    return StudioError(
        "sign-in",
        f"{constants.ENDPOINT} knows no sign-in by code.",
        f"Make a token with read scope at {constants.ENDPOINT}/settings/tokens and sign in with that.",
    )


def _refused(error: errors.DeviceCodeError) -> StudioError:
    match error.error_code:
        case errors.OAuthErrorCode.EXPIRED_TOKEN:
            return StudioError("sign-in", "The code has run out before it was typed.", "Ask for a new one.")
        case errors.OAuthErrorCode.ACCESS_DENIED:
            return StudioError("sign-in", "Signing in was turned down in the browser.", "Ask for a new code.")
        case other:
            return StudioError("sign-in", f"The Hub ended the sign-in: {clean(other or '')}.", "Try again.")

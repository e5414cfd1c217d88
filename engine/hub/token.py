"""Where the Hub's token lies: the system's keyring, or a file for this user's eyes where there is none."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import huggingface_hub as hf
import keyring
import keyring.errors
import msgspec
from huggingface_hub import constants

from engine.formats.errors import StudioError
from engine.formats.files import explain_os_error, write_file

if TYPE_CHECKING:
    from engine.hub.login import Grant

__all__ = ["Place", "Tokens", "checked"]

log = logging.getLogger(__name__)

Place = Literal["", "keyring", "file", "elsewhere"]

SERVICE = "Adapter Studio"
FILE = "hub-token.json"
RENEW = 24 * 3600.0
"""Seconds before its end that a token is renewed."""

_CLOSED = (keyring.errors.KeyringError, OSError)
_TOKEN = re.compile(r"[\x21-\x7e]{8,1000}")


class _Kept(msgspec.Struct, frozen=True):
    """What is written down of a Grant."""

    token: str
    refresh: str = ""
    expires: float = 0.0

    def __repr__(self) -> str:
        return "a token"


def checked(text: str) -> str:
    """A token as a person gave it, without the space around it. StudioError("usage") if it cannot be one."""
    token = text.strip()
    if not _TOKEN.fullmatch(token):
        raise StudioError(
            "usage",
            "That is not a token of the Hub.",
            f"Copy one from {constants.ENDPOINT}/settings/tokens; read scope is enough.",
        )
    return token


class Tokens:
    """The token that belongs to the configured Hub: one that was kept for another Hub is never given to it.

    All calls may block, on a keyring that asks for its password or on a renewal.
    """

    def __init__(self, root: Path) -> None:
        self._file = root / FILE
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return "Tokens()"

    def read(self) -> str | None:
        """The token to use: ours, else that of `hf auth login` or HF_TOKEN, else None."""
        with self._lock:
            kept, _ = self._ours()
            if kept is not None:
                return self._renewed(kept).token
        return _elsewhere()

    def where(self) -> Place:
        """Where the token lies that ``read`` gives."""
        with self._lock:
            place = self._ours()[1]
        return place or ("elsewhere" if _elsewhere() else "")

    def keep(self, grant: Grant) -> Place:
        """Keep a token for the configured Hub, in place of any before; says where."""
        with self._lock:
            return self._write(_Kept(checked(grant.token), grant.refresh, grant.expires))

    def forget(self) -> None:
        """Forget what ``keep`` kept for the configured Hub."""
        with self._lock:
            ring = _keyring()
            try:
                if ring is not None and ring.get_password(SERVICE, constants.ENDPOINT) is not None:
                    ring.delete_password(SERVICE, constants.ENDPOINT)
            except _CLOSED as error:
                raise StudioError(
                    "failed",
                    "The keyring does not open, so the token in it was not forgotten.",
                    "Open it and sign out again, or revoke the token on the Hub's page of settings.",
                    type(error).__name__,
                ) from error
            self._write_file(None)

    # --- where it lies ---

    def _ours(self) -> tuple[_Kept | None, Place]:
        ring = _keyring()
        with _opened("reading the token"), contextlib.suppress(msgspec.DecodeError):
            if ring is not None and (said := ring.get_password(SERVICE, constants.ENDPOINT)):
                return msgspec.json.decode(said, type=_Kept), "keyring"
        kept = self._read_file().get(constants.ENDPOINT)
        return kept, "file" if kept else ""

    def _write(self, kept: _Kept) -> Place:
        ring = _keyring()
        with _opened("keeping the token"):
            if ring is not None:
                ring.set_password(SERVICE, constants.ENDPOINT, msgspec.json.encode(kept).decode())
                self._write_file(None)
                return "keyring"
        self._write_file(kept)
        return "file"

    def _read_file(self) -> dict[str, _Kept]:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=dict[str, _Kept])
        except FileNotFoundError:
            return {}
        except msgspec.DecodeError:
            log.warning("%s cannot be read, so nobody is signed in", self._file.name)
            return {}
        except OSError as error:
            raise explain_os_error(error, "reading the Hub's token") from error

    def _write_file(self, kept: _Kept | None) -> None:
        before = self._read_file()
        after = {endpoint: one for endpoint, one in before.items() if endpoint != constants.ENDPOINT}
        if kept is not None:
            after[constants.ENDPOINT] = kept
        if after:
            write_file(self._file, msgspec.json.encode(after), mode=0o600, doing="keeping the token")
        else:
            self._file.unlink(missing_ok=True)

    # --- its end ---

    def _renewed(self, kept: _Kept) -> _Kept:
        if not kept.refresh or not kept.expires or kept.expires - time.time() > RENEW:
            return kept
        from engine.hub.login import Grant, renew

        try:
            grant = renew(Grant(kept.token, kept.refresh, kept.expires))
        except StudioError as error:
            # Not yet ended, so it may still do; and the Hub itself says best what is wrong with it.
            log.warning("the Hub's token could not be renewed: %s", error.message)
            return kept
        renewed = _Kept(grant.token, grant.refresh, grant.expires)
        self._write(renewed)
        return renewed


def _elsewhere() -> str | None:
    """The token of `hf auth login` or of the environment."""
    try:
        return hf.get_token()
    except (hf.errors.OIDCError, OSError) as error:
        log.warning("the token of the environment cannot be had: %s", error)
        return None


def _keyring() -> Any:
    """The system's keyring, or None where there is none that keeps secrets."""
    try:
        ring = keyring.get_keyring()
    except (ImportError, RuntimeError, *_CLOSED) as error:
        log.warning("no keyring: %s", error)
        return None
    return ring if ring.priority >= 1 else None  # below that it forgets, refuses, or writes in clear


@contextlib.contextmanager
def _opened(doing: str) -> Iterator[None]:
    """A keyring that does not open ends the block, as if it had nothing to say."""
    try:
        yield
    except _CLOSED as error:
        log.warning("the keyring does not open for %s: %s", doing, error)

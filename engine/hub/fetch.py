"""The bytes of one file onto the disk: resumed where they end, counted, checked, fetched again if need be."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import httpx2

from engine.formats.errors import StudioError
from engine.formats.files import explain_os_error
from engine.hub.errors import explain
from engine.hub.plan import PlannedFile, check_space
from engine.hub.reader import pieces
from engine.hub.source import Answer, BusyError, ChangedError, Source, busy

__all__ = ["Control", "Digest", "fetch", "insist"]

T = TypeVar("T")

TRIES = 6
"""Times in a row that a server is asked in vain before that is told."""

LONGEST_WAIT = 900.0
"""Seconds that a server may ask us to wait; for longer the download is paused."""

STALE = 3
"""Answers in a row that are another file than the planned one before that is told."""

LOOK_AT_DISK = 64 << 20
"""Bytes between two looks at the space that is left."""


class Control(Protocol):
    """Who steers a download and hears from it. Each call may raise, to stop it."""

    def check(self) -> None:
        """Called often; says whether to go on."""

    def wait(self, seconds: float, doing: str) -> None:
        """Wait, saying so, unless there is something else to do."""

    def at(self, done: int) -> None:
        """So many bytes of the file lie on the disk."""

    def received(self, count: int) -> None:
        """So many bytes have come."""

    def say(self, doing: str) -> None:
        """What is being done."""

    def note(self, sentence: str) -> None:
        """Something that a person should know also later."""


class Digest:
    """What a file's content is called: its SHA-256, and git's own name of it where the Hub goes by that."""

    def __init__(self, file: PlannedFile) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        # Git's names are no proof against a forger; the SHA-256 that was found is kept with the result.
        git = len(file.etag) == 40
        self._git = hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False) if git else None

    def update(self, data: bytes) -> None:
        self._sha256.update(data)
        if self._git is not None:
            self._git.update(data)

    def follow(self, source: io.FileIO, control: Control) -> int:
        """Take in all that ``source`` still has; returns how much that was."""
        count = 0
        while data := source.read(1 << 20):
            control.check()
            self.update(data)
            count += len(data)
        return count

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    def fits(self) -> bool:
        """Whether what was taken in is the file."""
        return (self._git or self._sha256).hexdigest() == self._file.etag


def fetch(file: PlannedFile, target: Path, source: Source, control: Control) -> str:
    """Bring ``file`` to ``target``, going on with what lies there; whole, checked and synced in the end.

    Returns its SHA-256. StudioError otherwise, with what has been fetched left in place unless it is wrong.
    """
    for last in (False, True):
        try:
            with target.open("ab+", buffering=0) as out:
                digest = _complete(file, out, source, control)
                os.fsync(out.fileno())
        except OSError as error:
            raise explain_os_error(error, f"fetching {file.name}") from error
        if digest.fits():
            return digest.sha256
        target.unlink()
        if not last:
            control.note(f"{file.name} was not what the Hub had announced and was fetched again.")
    raise StudioError(
        "changed",
        f"{file.name} of {source.plan.repo} has come twice with another content than the Hub announces.",
        "Something on the way alters it, or the Hub has it wrong. Try again later, or from another network.",
    )


def insist(attempt: Callable[[], T], control: Control, repo: str) -> T:
    """What ``attempt`` returns, tried again as long as that makes sense: see ``_Patience``."""
    patience = _Patience(control, repo)
    while True:
        try:
            return attempt()
        except (httpx2.HTTPError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            patience.wait(busy(error, repo) or error)


class _Patience:
    """Waits as a server asks, or twice as long each time where a connection fails.

    Trouble of another kind, and TRIES in a row in vain, are raised as a StudioError.
    """

    def __init__(self, control: Control, repo: str) -> None:
        self._control, self._repo = control, repo
        self._vain = 0

    def succeeded(self) -> None:
        self._vain = 0

    def wait(self, trouble: Exception) -> None:
        self._vain += 1
        if isinstance(trouble, BusyError):
            error, told, doing = trouble.error, trouble.after, "Waiting for the Hub"
        else:
            error, told, doing = explain(trouble, self._repo), None, "The connection broke; trying again"
        patient = isinstance(trouble, BusyError | httpx2.TransportError) and self._vain < TRIES
        if not patient or (told or 0.0) > LONGEST_WAIT:
            raise error from trouble
        self._control.wait(min(8.0, 0.25 * 2**self._vain) if told is None else told, doing)


def _complete(file: PlannedFile, out: io.FileIO, source: Source, control: Control) -> Digest:
    """Append what ``out`` lacks of ``file``; returns what its content is called."""
    writer = _Writer(file, out, control)
    writer.take_stock()
    patience, stale = _Patience(control, source.plan.repo), 0
    furthest = writer.done
    while writer.done < file.size:
        control.say(f"Fetching {file.name}")
        trouble: Exception = httpx2.ReadError("the answer ended early")
        try:
            for item in pieces(partial(source.open, file, writer.done, writer.version), control.check):
                if isinstance(item, Answer):
                    writer.begin(item)
                else:
                    writer.write(item)
        except ChangedError as error:
            stale += 1
            if stale >= STALE:
                raise StudioError(
                    "changed",
                    f"{file.name} of {source.plan.repo} cannot be fetched. {error}",
                    "Cancel it and download the repository anew: it may have been published again.",
                ) from error
            writer.begin_again(str(error))
            control.wait(stale, "Beginning the file again")
            continue
        except (BusyError, httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            trouble = error
        if writer.done > furthest:
            patience.succeeded()
        if writer.done < file.size:
            patience.wait(trouble)
        furthest = max(furthest, writer.done)
    return writer.digest


class _Writer:
    """The end of a growing file. ``version`` is what the server calls the one that it is of."""

    def __init__(self, file: PlannedFile, out: io.FileIO, control: Control) -> None:
        self.file, self.done = file, 0
        self.version = (
            f'"{file.etag}"' if len(file.etag) == 40 else ""
        )  # the Hub's own; that of others is told
        self.digest = Digest(file)
        self._out, self._control = out, control
        self._look_at = 0

    def take_stock(self) -> None:
        """What lies there already counts, and is read for the digest."""
        there = self._out.seek(0, os.SEEK_END)
        if there > self.file.size:
            self._out.truncate(0)
        elif there:
            self._control.say(f"Checking {self.file.name}")
            self._out.seek(0)
            self.done = self.digest.follow(self._out, self._control)
        self._control.at(self.done)

    def begin(self, answer: Answer) -> None:
        """An answer has come, maybe from the file's first byte instead of our next one."""
        if answer.begins != self.done:
            changed = self.version and answer.version and answer.version != self.version
            self.begin_again(
                "The Hub's file has changed." if changed else "The Hub does not go on in the middle."
            )
        self.version = answer.version

    def begin_again(self, why: str) -> None:
        """Forget what has been fetched, and say so."""
        if self.done:
            self._control.note(f"{why} {self.file.name} was fetched from its beginning.")
        self._out.truncate(0)
        self.done, self.version, self.digest = 0, "", Digest(self.file)
        self._control.at(0)

    def write(self, data: bytes) -> None:
        if self.done + len(data) > self.file.size:
            raise ChangedError("The Hub sends more than the whole file.")
        if self.done >= self._look_at:
            self._look_at = self.done + LOOK_AT_DISK
            check_space(Path(self._out.name), self.file.size - self.done)
        view = memoryview(data)
        while view:
            view = view[self._out.write(view) :]
        self.digest.update(data)
        self.done += len(data)
        self._control.received(len(data))
        self._control.at(self.done)

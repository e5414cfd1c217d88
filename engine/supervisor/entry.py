"""A thing in the library as it is kept: its card, what its files were, where it comes from.

The database has every entry, and each folder of the home a copy of its own beside its files, so that a folder
and what is known about it move with one rename, and a damaged database is rebuilt from the folders.
"""

from __future__ import annotations

import logging
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from engine.formats.files import write_file
from engine.messages import AdapterCard, BaseCard, Job, MixCard

__all__ = ["NOTE", "Entry", "Origin", "made_by", "origin_now", "read_note", "write_note"]

log = logging.getLogger(__name__)

NOTE = "entry.json"
"""The copy beside the files. A card's name and path are those of the folder, whatever its note says."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """How something came in, taken down when it did: what it came from may be gone later.

    ``time`` is seconds since the epoch, 0 where nothing was taken down. It was copied from ``path`` or
    fetched from ``address``, where ``files`` {file: sha256} lay if others were made of them. ``spec`` is that
    of the ``job`` that made it in ``seconds`` and ``steps``, ``data`` {what the job calls it: sha256},
    ``base`` {file: sha256} of the base's folder as far as that says which it was.
    """

    time: float = 0.0
    version: str = ""
    path: str = ""
    address: str = ""
    files: dict[str, str] = {}
    job: str = ""
    spec: dict[str, Any] = {}
    data: dict[str, str] = {}
    base: dict[str, str] = {}
    seconds: float = 0.0
    steps: int = 0


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """``files`` has the sha256 of each file, ``removed`` whether the person took it off the list where it
    lies, ``former`` the names that it had before. ``weights`` is the digest of its numbers, "" until it was
    needed."""

    card: AdapterCard | BaseCard | MixCard
    files: dict[str, str] = {}
    removed: bool = False
    origin: Origin = Origin()
    former: list[str] = []
    weights: str = ""


_note = msgspec.json.Decoder(Entry)


def origin_now(**known: Any) -> Origin:
    """The origin of what comes in at this moment."""
    return Origin(time=time.time(), version=version("adapter-studio"), **known)


def made_by(job: Job, data: dict[str, str], base: dict[str, str]) -> Origin:
    """The origin of what ``job`` made from ``data`` on ``base``; fields as in Origin."""
    spec = msgspec.to_builtins(job.spec)
    return origin_now(job=job.id, spec=spec, data=data, base=base, seconds=job.seconds, steps=job.step)


def write_note(folder: Path, entry: Entry) -> None:
    """Keep a copy of ``entry`` beside its files. StudioError("disk") when that is refused."""
    write_file(folder / NOTE, msgspec.json.encode(entry), mode=0o600, doing="noting where it comes from")


def read_note(folder: Path) -> Entry | None:
    """The copy beside the files, as it was written last; None where there is none that can be read."""
    path = folder / NOTE
    if not path.is_file():
        return None
    try:
        return _note.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        log.warning("%s cannot be read: %s", path, error)
        return None

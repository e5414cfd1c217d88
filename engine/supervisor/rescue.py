"""Opening the database: as it is, or what is left of it when it was damaged or lost."""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path

import apsw
import msgspec

from engine.formats.errors import StudioError
from engine.supervisor.store import Store

__all__ = ["open_store"]

log = logging.getLogger(__name__)

OLDEST_SQLITE = (3, 51, 3)
"""Older ones may lose committed pages when a WAL is reset while several connections are open."""


def open_store(database: Path, backup: Path) -> tuple[Store, str]:
    """Open the database, or put a damaged one aside and start from the backup or anew.

    Returns the store and the sentence to tell the person ("" when all was well). StudioError("database") when
    SQLite is too old, or the file comes from a newer program; StudioError("disk") when the disk is full.
    """
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < OLDEST_SQLITE:
        raise StudioError(
            "database",
            f"SQLite {apsw.sqlite_lib_version()} can lose committed data.",
            "Install a newer apsw: pip install --upgrade apsw.",
        )
    vanished = backup.exists() and (not database.exists() or database.stat().st_size == 0)
    if not vanished:
        try:
            return Store(database), ""
        except (apsw.CorruptError, apsw.NotADBError, msgspec.DecodeError) as error:
            log.error("the database is damaged: %s", error)
    aside = _set_aside(database) if database.exists() else None
    restored = _restore(backup, database)
    what = "was empty or missing." if vanished else "was damaged."
    what += f" It was set aside as {aside.name}" if aside else " It was"
    source = "the last backup and the jobs' folders" if restored else "the adapters' and jobs' folders"
    return Store(database), f"The studio's database {what} and rebuilt from {source}."


def _set_aside(database: Path) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    aside = database.with_name(f"{database.name}.damaged-{stamp}")
    count = 1
    while aside.exists():
        count += 1
        aside = database.with_name(f"{database.name}.damaged-{stamp}-{count}")
    for suffix in ("", "-wal", "-shm"):
        part = database.with_name(database.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def _restore(backup: Path, database: Path) -> bool:
    """Put a good backup in the database's place. False when there is none."""
    if not backup.exists():
        return False
    shutil.copyfile(backup, database)
    try:
        Store(database).close()
    except (apsw.CorruptError, apsw.NotADBError, msgspec.DecodeError) as error:
        log.error("the backup is damaged too: %s", error)
        _set_aside(database)
        return False
    return True

"""The record of everything: jobs, curves, events, logs and the library, in one SQLite file with one writer.

A commit that returned is on the disk (WAL with synchronous=FULL, read back). A damaged file is set aside,
never deleted (see ``rescue``); what the last backup and the folders' own notes know is put into a new one.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import apsw
import msgspec

from engine.formats.errors import StudioError
from engine.formats.files import sync_file, sync_folder
from engine.messages import Event, EventBody, Job, LogLine, Metrics
from engine.supervisor.entry import Entry

__all__ = ["Record", "Store"]

KEPT_EVENTS = 5000
KEPT_PEEKS = 5000

MIGRATIONS = (
    """
    CREATE TABLE jobs (id TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;
    CREATE TABLE metrics (job TEXT NOT NULL, step INTEGER NOT NULL, row TEXT NOT NULL,
                          PRIMARY KEY (job, step)) STRICT, WITHOUT ROWID;
    CREATE TABLE logs (id INTEGER PRIMARY KEY, job TEXT NOT NULL, line TEXT NOT NULL) STRICT;
    CREATE INDEX logs_of_job ON logs (job);
    CREATE TABLE events (number INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL) STRICT;
    CREATE TABLE library (kind TEXT NOT NULL, name TEXT NOT NULL, entry TEXT NOT NULL,
                          PRIMARY KEY (kind, name)) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE TABLE peeks (number INTEGER PRIMARY KEY AUTOINCREMENT, room TEXT NOT NULL, repo TEXT NOT NULL,
                        hash TEXT NOT NULL, peek BLOB NOT NULL, UNIQUE (room, repo, hash)) STRICT;
    """,
)


class Record(msgspec.Struct, kw_only=True):
    """A job as the store keeps it.

    ``paths`` has the snapshot of its data; ``number`` is its place in the queue; ``epoch`` the fence.
    ``crashes`` counts runtimes it took down without a checkpoint or a step past ``furthest`` in between, and
    ``false_starts`` those that died before it began. ``checkpoint`` is the newest committed one; ``keep``
    says that it shall become the result as it is; ``output`` is a finished one on its way into the library.
    """

    job: Job
    paths: dict[str, str]
    number: int
    epoch: int = 0
    crashes: int = 0
    false_starts: int = 0
    furthest: int = 0
    checkpoint: str | None = None
    keep: bool = False
    output: str = ""


_event_body = msgspec.msgpack.Decoder(EventBody)
_record = msgspec.json.Decoder(Record)
_entry = msgspec.json.Decoder(Entry)
_line = msgspec.json.Decoder(LogLine)
_row = msgspec.json.Decoder(dict[str, float])


class Store:
    """One open database. Every method that writes returns after the commit, or raises StudioError.

    Threads take turns: a connection that is used by two at once refuses.
    """

    def __init__(self, path: Path) -> None:
        self._turn = threading.RLock()
        with _refusals():
            self._db = apsw.Connection(str(path))
            self._db.set_busy_timeout(2000)
            self._db.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON")
        if self._pragma("journal_mode") != "wal" or self._pragma("synchronous") != 2:
            raise StudioError(
                "database",
                "The database cannot be kept durably on this disk.",
                "Choose a home on a local disk with --home.",
                str(path),
            )
        if (verdict := self._pragma("integrity_check")) != "ok":
            raise apsw.CorruptError(str(verdict))
        self._migrate()
        self._read_through()

    def close(self) -> None:
        self._db.close()

    def _pragma(self, name: str) -> object:
        return self._rows(f"PRAGMA {name}")[0][0]

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._turn:
            return self._db.execute(query, values).fetchall()

    def _migrate(self) -> None:
        version = self._pragma("user_version")
        assert isinstance(version, int)
        if version > len(MIGRATIONS):
            raise StudioError(
                "database",
                "This folder was written by a newer Adapter Studio.",
                "Update the program, or choose another home with --home.",
            )
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
            with self._writing():
                self._db.execute(f"{script}; PRAGMA user_version={number}")

    def _read_through(self) -> None:
        """msgspec.DecodeError for a row that cannot be understood: SQLite keeps no sums of its rows."""
        self.jobs()
        for (kind,) in self._rows("SELECT DISTINCT kind FROM library"):
            self.entries(kind)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction; SQLite's refusals as sentences."""
        try:
            with self._turn, _refusals(), self._db:
                yield
        except apsw.CorruptError as error:
            raise StudioError(
                "database",
                "The database has been damaged while the engine was running.",
                "Restart the engine: it sets the damaged file aside and goes on with the last backup.",
                str(error),
            ) from error

    # --- jobs ---

    def save_job(self, record: Record) -> None:
        with self._writing():
            self._db.execute(
                "INSERT OR REPLACE INTO jobs (id, record) VALUES (?, ?)",
                (record.job.id, msgspec.json.encode(record).decode()),
            )

    def jobs(self) -> list[Record]:
        """All jobs in the order in which they came."""
        records = [_record.decode(text) for (text,) in self._rows("SELECT record FROM jobs")]
        return sorted(records, key=lambda record: record.number)

    def drop_job(self, job: str) -> None:
        with self._writing():
            self._db.execute("DELETE FROM metrics WHERE job=?", (job,))
            self._db.execute("DELETE FROM logs WHERE job=?", (job,))
            self._db.execute("DELETE FROM jobs WHERE id=?", (job,))

    # --- curves and logs ---

    def add_metrics(self, rows: Iterable[tuple[str, int, dict[str, float]]]) -> None:
        """Record (job, step, values). Values of a step that come later, or again after a resume, go beside
        the others and replace their like."""
        with self._writing():
            self._db.executemany(
                "INSERT INTO metrics (job, step, row) VALUES (?, ?, ?) "
                "ON CONFLICT (job, step) DO UPDATE SET row = json_patch(row, excluded.row)",
                [(job, step, msgspec.json.encode(values).decode()) for job, step, values in rows],
            )

    def metrics(self, job: str, since: int) -> Metrics:
        rows = self._rows("SELECT step, row FROM metrics WHERE job=? AND step>=? ORDER BY step", job, since)
        values = [_row.decode(text) for _, text in rows]
        names = list(dict.fromkeys(name for row in values for name in row))
        series = {name: [row.get(name) for row in values] for name in names}
        return Metrics(id=job, steps=[step for step, _ in rows], series=series)

    def last_step(self, job: str) -> int:
        """The last step whose values are recorded; 0 when there is none."""
        return int(self._rows("SELECT coalesce(max(step), 0) FROM metrics WHERE job=?", job)[0][0])

    def add_log(self, job: str, lines: Iterable[LogLine]) -> None:
        with self._writing():
            self._db.executemany(
                "INSERT INTO logs (job, line) VALUES (?, ?)",
                [(job, msgspec.json.encode(line).decode()) for line in lines],
            )

    def log(self, job: str) -> list[LogLine]:
        rows = self._rows("SELECT line FROM logs WHERE job=? ORDER BY id", job)
        return [_line.decode(text) for (text,) in rows]

    # --- events ---

    def add_events(self, events: Iterable[Event]) -> None:
        with self._writing():
            self._db.executemany(
                "INSERT OR REPLACE INTO events (number, body) VALUES (?, ?)",
                [(event.number, msgspec.msgpack.encode(event.body)) for event in events],
            )
            self._db.execute(
                "DELETE FROM events WHERE number <= (SELECT max(number) FROM events) - ?", (KEPT_EVENTS,)
            )

    def events(self, since: int) -> list[Event]:
        rows = self._rows("SELECT number, body FROM events WHERE number>? ORDER BY number", since)
        return [Event(number=number, body=_event_body.decode(body)) for number, body in rows]

    def last_event(self) -> int:
        """The highest number ever given, also when its event has been forgotten since."""
        rows = self._rows("SELECT seq FROM sqlite_sequence WHERE name='events'")
        return int(rows[0][0]) if rows else 0

    # --- library ---

    def save_entry(self, kind: str, entry: Entry, instead_of: str = "") -> None:
        """Record an entry under its card's name, at once ``instead_of`` the one of another name."""
        with self._writing():
            self._db.execute("DELETE FROM library WHERE kind=? AND name=?", (kind, instead_of))
            self._db.execute(
                "INSERT OR REPLACE INTO library (kind, name, entry) VALUES (?, ?, ?)",
                (kind, entry.card.name, msgspec.json.encode(entry).decode()),
            )

    def drop_entry(self, kind: str, name: str) -> None:
        with self._writing():
            self._db.execute("DELETE FROM library WHERE kind=? AND name=?", (kind, name))

    def entry(self, kind: str, name: str) -> Entry | None:
        rows = self._rows("SELECT entry FROM library WHERE kind=? AND name=?", kind, name)
        return _entry.decode(rows[0][0]) if rows else None

    def entries(self, kind: str) -> list[Entry]:
        rows = self._rows("SELECT entry FROM library WHERE kind=? ORDER BY name", kind)
        return [_entry.decode(text) for (text,) in rows]

    # --- what was read of the Hub ---

    def keep_peek(self, room: str, repo: str, commit: str, peek: bytes) -> None:
        with self._writing():
            self._db.execute(
                "INSERT OR REPLACE INTO peeks (room, repo, hash, peek) VALUES (?, ?, ?, ?)",
                (room, repo, commit, peek),
            )
            self._db.execute(
                "DELETE FROM peeks WHERE number <= (SELECT max(number) FROM peeks) - ?", (KEPT_PEEKS,)
            )

    def peek(self, room: str, repo: str, commit: str = "") -> bytes | None:
        """What was read of a commit, without one of that which was looked at last."""
        found = self._rows(
            "SELECT peek FROM peeks WHERE room=? AND repo=? AND ? IN (hash, '') ORDER BY number DESC LIMIT 1",
            *(room, repo, commit),
        )
        return found[0][0] if found else None

    # --- backup ---

    def back_up(self, target: Path) -> None:
        """Write a whole, compact copy to ``target``; the previous one stays until the new one is complete."""
        work = target.with_suffix(".new")
        work.unlink(missing_ok=True)
        try:
            self._rows("VACUUM INTO ?", str(work))
        except apsw.Error as error:
            work.unlink(missing_ok=True)
            raise StudioError(
                "disk", "The backup of the database could not be written.", "Free some space.", str(error)
            ) from error
        sync_file(work)
        work.replace(target)
        sync_folder(target.parent)


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """What SQLite says about the disk, as sentences."""
    try:
        yield
    except apsw.FullError as error:
        raise StudioError(
            "disk",
            "The disk is full, so nothing new could be recorded.",
            "Free some space; the engine goes on as soon as there is room.",
            str(error),
        ) from error
    except (apsw.IOError, apsw.ReadOnlyError, apsw.CantOpenError) as error:
        raise StudioError(
            "disk",
            "The disk refused to record this.",
            "Look whether the disk of the studio's folder is full or read-only, then try again.",
            str(error),
        ) from error

"""The jobs on record: in memory, in the store and beside their files; every change of state is told."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from engine.formats.checkpoint_folder import newest_checkpoint
from engine.formats.errors import StudioError
from engine.formats.files import write_file
from engine.messages import (
    Download,
    Error,
    EventBody,
    GaugeBody,
    JobChanged,
    JobProgress,
    JobRemoved,
    JobSpec,
    LogLine,
    Metrics,
)
from engine.supervisor.home import Home
from engine.supervisor.store import Record, Store

__all__ = ["ENDED", "MIRROR", "Ledger"]

log = logging.getLogger(__name__)

ENDED = ("done", "failed", "cancelled")
MIRROR = "job.json"
"""A copy of the record beside the job's files, from which a damaged database is rebuilt."""


class Ledger:
    """All jobs by id, in the order in which they came.

    ``announce`` tells everyone durably, ``show`` is for gauges. What a full disk keeps from being recorded
    is kept in memory and recorded by a later ``flush``.
    """

    def __init__(
        self,
        home: Home,
        store: Store,
        announce: Callable[[EventBody], None],
        show: Callable[[GaugeBody], None],
    ) -> None:
        self.records: dict[str, Record] = {}
        self.announce = announce
        self._show = show
        self._home = home
        self._store = store
        self._curve: list[tuple[str, int, dict[str, float]]] = []
        self._lines: list[tuple[str, LogLine]] = []
        self._unsaved: set[str] = set()
        self._progress: dict[str, JobProgress] = {}

    # --- looking ---

    def find(self, job: str) -> Record:
        """The job of this id, or the only one whose id begins so; StudioError("missing") otherwise."""
        if job in self.records:
            return self.records[job]
        begins = [record for key, record in self.records.items() if job and key.startswith(job)]
        if len(begins) == 1:
            return begins[0]
        raise StudioError(
            "missing", f"There is no job “{job}”.", "`adapter-studio jobs list` shows all of them."
        )

    def folder(self, record: Record) -> Path:
        return self._home.jobs / record.job.id

    def has_finished_some(self, record: Record) -> bool:
        """Whether there is something that could be kept: a checkpoint, or a part of a scoring."""
        return record.checkpoint is not None or any(self.folder(record).glob("arms/*.json"))

    def given_up(self, spec: JobSpec) -> dict[str, str]:
        """{"given-up:ID": folder} of each job that has ended without having all of what a download is of."""
        if not isinstance(spec, Download):
            return {}
        return {
            f"given-up:{key}": str(self.folder(record))
            for key, record in self.records.items()
            if record.job.state in ("failed", "cancelled")
            and isinstance(record.job.spec, Download)
            and record.job.spec.repo.casefold() == spec.repo.casefold()
        }

    def log(self, record: Record) -> list[LogLine]:
        self.flush()
        return self._store.log(record.job.id)

    def metrics(self, record: Record, since: int) -> Metrics:
        self.flush()
        return self._store.metrics(record.job.id, since)

    # --- coming and going ---

    def load(self, rebuilt: bool) -> None:
        """All jobs from the store; after damage the copies in the jobs' folders count too."""
        self.records = {record.job.id: record for record in self._store.jobs()}
        if rebuilt:
            for record in _mirrors(self._home.jobs):
                self.records[record.job.id] = record
                self._store.save_job(record)
            self.records = dict(sorted(self.records.items(), key=lambda item: item[1].number))
        for record in self.records.values():
            if _bring_along(record, self._home):
                self._store.save_job(record)

    def next_number(self) -> int:
        return 1 + max((record.number for record in self.records.values()), default=0)

    def enter(self, record: Record) -> None:
        """A new job: when this returns it is on the disk, and everyone is told. StudioError otherwise."""
        self._mirror(record)
        self._store.save_job(record)
        self.records[record.job.id] = record
        self.say(record, "info", "Queued.")
        self.announce(JobChanged(job=record.job))

    def drop(self, record: Record) -> None:
        self.flush()
        self._store.drop_job(record.job.id)
        del self.records[record.job.id]
        self.announce(JobRemoved(id=record.job.id))

    # --- changing ---

    def save(self, record: Record) -> None:
        """Record a change before it has an effect. StudioError when that is not possible."""
        self._store.save_job(record)

    def save_later(self, record: Record) -> None:
        """Record a change that has already happened; when the disk is full it is recorded later."""
        try:
            self._store.save_job(record)
        except StudioError as error:
            self._unsaved.add(record.job.id)
            log.error("job %s not recorded yet: %s (%s)", record.job.id, error, error.detail)

    def settle(
        self,
        record: Record,
        state: Literal["queued", "paused", "done", "failed", "cancelled", "held"],
        message: str,
        *,
        error: Error | None = None,
        step: int | None = None,
    ) -> None:
        """A change of state: recorded, mirrored beside the job, written in its log, told to everyone."""
        ended = time.time() if state in ENDED else None
        job = msgspec.structs.replace(
            record.job, state=state, message=message, error=error, ended=ended, seconds_left=None
        )
        record.job = job if step is None else msgspec.structs.replace(job, step=step)
        self._progress.pop(record.job.id, None)
        self.save_later(record)
        try:
            self._mirror(record)
        except StudioError as full:
            log.error("no copy beside the job: %s", full)
        self.say(record, "error" if error else "info", message)
        self.announce(JobChanged(job=record.job))

    def say(self, record: Record, level: str, text: str) -> None:
        """A line in the job's log."""
        self._lines.append((record.job.id, LogLine(time=time.time(), level=level, text=text)))

    def add_step(self, job: str, step: int, values: dict[str, float]) -> None:
        """A point of the job's curve."""
        self._curve.append((job, step, values))

    def progressed(self, record: Record) -> None:
        """Show where the job is with the next gauges."""
        job = record.job
        self._progress[job.id] = JobProgress(
            id=job.id,
            step=job.step,
            steps=job.steps,
            message=job.message,
            seconds_left=job.seconds_left,
            metrics=job.metrics,
            files=job.files,
        )

    def adopt_checkpoint(self, record: Record) -> None:
        """A checkpoint that was complete on the disk before its report could arrive counts as well.

        Unless the steps before it were never reported: going on from there would leave a hole in the curve.
        """
        self.flush()
        found = newest_checkpoint(self.folder(record), record.epoch)
        known = self._store.last_step(record.job.id)
        if found is not None and (record.job.checkpoint_step or 0) <= found.step <= known:
            record.checkpoint = str(found.folder)
            record.job = msgspec.structs.replace(record.job, checkpoint_step=found.step)

    # --- now and then ---

    def flush(self) -> None:
        """Commit what has gathered: curves, log lines, and jobs that a full disk kept from being saved."""
        try:
            if self._curve:
                self._store.add_metrics(self._curve)
                self._curve = []
            if self._lines:
                for job in {job for job, _ in self._lines}:
                    self._store.add_log(job, [line for owner, line in self._lines if owner == job])
                self._lines = []
            for job in list(self._unsaved):
                if job in self.records:
                    self._store.save_job(self.records[job])
                self._unsaved.discard(job)
        except StudioError as error:
            log.error("not recorded yet: %s (%s)", error, error.detail)

    def show_progress(self) -> None:
        for progress in self._progress.values():
            self._show(progress)
        self._progress.clear()

    def _mirror(self, record: Record) -> None:
        path = self.folder(record) / MIRROR
        write_file(path, msgspec.json.encode(record), mode=0o600, doing="storing the job")


def _mirrors(room: Path) -> list[Record]:
    found = []
    for file in sorted(room.glob(f"*/{MIRROR}")):
        try:
            found.append(msgspec.json.decode(file.read_bytes(), type=Record))
        except msgspec.DecodeError as error:
            log.error("%s cannot be read: %s", file, error)
    return found


def _bring_along(record: Record, home: Home) -> bool:
    """Where a home was moved or copied, let a job find in this one what it had in that. Whether it was so."""
    before = _home_of(record)
    if before is None or before == home.root:
        return False

    def here(path: str) -> str:
        inside = Path(path).is_relative_to(before)
        return str(home.root / Path(path).relative_to(before)) if inside else path

    record.paths = {key: here(path) for key, path in record.paths.items()}
    record.checkpoint = here(record.checkpoint) if record.checkpoint else None
    record.output = here(record.output) if record.output else ""
    return True


def _home_of(record: Record) -> Path | None:
    """The home in which a job was recorded, as far as its paths show it."""
    for path in map(Path, [*record.paths.values(), record.checkpoint or "", record.output]):
        for folder in path.parents:
            if folder.parent.name == "jobs" and folder.name == record.job.id:
                return folder.parent.parent
        if path.parent.name == "data" and len(path.stem) == 64:
            return path.parent.parent
    return None

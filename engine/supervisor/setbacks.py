"""What becomes of a job that did not go on: paused, failed, cancelled, queued again or held, each with a
sentence."""

from __future__ import annotations

from typing import Literal

from engine.formats.sizes import as_size
from engine.messages import Download, Error, Notice
from engine.supervisor.ledger import Ledger
from engine.supervisor.spec import reached, title_of
from engine.supervisor.store import Record

__all__ = ["cancelled", "crashed", "go_on_or_hold", "interrupted", "stopped"]

CRASHES = 3
"""Deaths of a runtime in a row, without the job getting further, after which the job is held."""

FALSE_STARTS = 10
"""Deaths in a row of runtimes that were still loading, after which the job is held, though it had no part."""

NO_FAULT = ("disk", "offline", "limited")
"""Codes of errors that are no fault of the job: it is paused, and goes on when the person says so."""


def stopped(ledger: Ledger, record: Record, error: Error) -> None:
    """It says why it cannot go on."""
    if error.code in NO_FAULT:
        message = f"Paused: {error.message}"
        ledger.settle(record, "paused", message, error=error, step=_goes_on_at(record))
    else:
        ledger.settle(record, "failed", error.message, error=error)
    sentence = f"{title_of(record.job.spec)} has stopped. {error.message}"
    _notice(ledger, "error", record, sentence, error.hint)


def cancelled(ledger: Ledger, record: Record) -> None:
    """The person gives it up. What a download has fetched stays until its job is removed."""
    job = record.job
    words = f"Cancelled{reached(job, job.step, ' at')}." if job.step else "Cancelled."
    if isinstance(job.spec, Download) and job.step:
        words = f"Cancelled; {as_size(job.step)} are kept, and fetching it again goes on from there."
    ledger.settle(record, "cancelled", words)


def crashed(ledger: Ledger, record: Record, sentence: str, loading: bool) -> None:
    """The process that it ran in, or that was still ``loading`` for it, has died: that is counted."""
    if loading:
        record.false_starts += 1
    else:
        record.crashes, record.false_starts = record.crashes + 1, 0
    ledger.say(record, "error", sentence)


def go_on_or_hold(ledger: Ledger, record: Record, sentence: str) -> None:
    """After a crash: back into the queue, or held when there were too many."""
    ledger.adopt_checkpoint(record)
    title = title_of(record.job.spec)
    if record.crashes >= CRASHES or record.false_starts >= FALSE_STARTS:
        loading = record.crashes < CRASHES
        times = f"{record.false_starts} vain starts" if loading else f"{record.crashes} stops"
        reason = f"{sentence} It is held after {times} in which it got no further."
        hint = "Resume it to try once more, or cancel it."
        ledger.settle(record, "held", reason, error=Error(code="held", message=reason, hint=hint))
        _notice(ledger, "error", record, f"{sentence} {title} is held after {times}.", hint)
        return
    step = _goes_on_at(record)
    where = reached(record.job, step, " from")
    ledger.settle(record, "queued", f"Continues{where}.", step=step)
    _notice(ledger, "warning", record, f"{sentence} {title} continues{where}.")


def interrupted(ledger: Ledger, record: Record) -> None:
    """It ran when the engine ended."""
    step, title = _goes_on_at(record), title_of(record.job.spec)
    where = reached(record.job, step, " from")
    ledger.settle(record, "queued", f"Interrupted; continues{where}.", step=step)
    _notice(ledger, "info", record, f"{title} was interrupted; it goes on{where}.")


def _goes_on_at(record: Record) -> int:
    """The step from which it goes on: a download has no checkpoints, what is on the disk counts."""
    return record.job.step if isinstance(record.job.spec, Download) else record.job.checkpoint_step or 0


def _notice(
    ledger: Ledger, level: Literal["info", "warning", "error"], record: Record, sentence: str, hint: str = ""
) -> None:
    ledger.announce(Notice(level=level, message=sentence, hint=hint, job=record.job.id))

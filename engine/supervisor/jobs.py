"""The jobs as people see them: submit, look, pause, resume, cancel, keep, remove."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.formats.errors import StudioError
from engine.formats.files import explain_os_error, sha256_file
from engine.formats.mix_file import MIXER
from engine.messages import (
    AdapterCard,
    BaseCard,
    Download,
    EventBody,
    ExportMix,
    Fit,
    GaugeBody,
    Job,
    JobCheckpoint,
    JobEnded,
    JobStep,
    LogLine,
    Metrics,
    MixCard,
    ScoreMix,
    SubmitJob,
    TrainJoint,
    TrainRouter,
)
from engine.supervisor.admission import Admission
from engine.supervisor.home import Home
from engine.supervisor.inputs import pin
from engine.supervisor.ledger import ENDED, Ledger
from engine.supervisor.library import Library, cuts_of
from engine.supervisor.results import drop_elsewhere, give_up
from engine.supervisor.running import Running
from engine.supervisor.runtimes import Runtime, Runtimes
from engine.supervisor.setbacks import cancelled
from engine.supervisor.spec import Room
from engine.supervisor.store import Record, Store

__all__ = ["Jobs"]


class Jobs:
    """All jobs. ``announce`` tells everyone durably, ``show`` is for gauges, ``token`` is the Hub's;
    ``judge`` says whether an adapter plays on a base."""

    def __init__(
        self,
        home: Home,
        store: Store,
        library: Library,
        runtimes: Runtimes,
        announce: Callable[[EventBody], None],
        show: Callable[[GaugeBody], None],
        token: Callable[[], str | None],
        judge: Callable[[AdapterCard, BaseCard], Fit],
    ) -> None:
        self._ledger = Ledger(home, store, announce, show)
        self._admission = Admission(home, library, self._ledger, judge)
        self._running = Running(self._ledger, library, runtimes, token)
        self._submitting = asyncio.Lock()

    # --- looking ---

    def all(self) -> list[Job]:
        return [record.job for record in self._ledger.records.values()]

    def show(self, job: str) -> Job:
        return self._ledger.find(job).job

    def log(self, job: str) -> list[LogLine]:
        return self._ledger.log(self._ledger.find(job))

    def metrics(self, job: str, since: int) -> Metrics:
        return self._ledger.metrics(self._ledger.find(job), since)

    def active(self) -> bool:
        """Whether a job runs or waits for its turn."""
        return any(job.state in ("queued", "running") for job in self.all())

    def training_router(self, job: str) -> tuple[str, TrainRouter | TrainJoint]:
        """Id and spec of a router's job that runs now. StudioError when it is another kind, or does not."""
        found = self._ledger.find(job).job
        if not isinstance(found.spec, TrainRouter | TrainJoint):
            raise StudioError("usage", f"{found.name} is not a mix in training.", "Name the job of a mix.")
        if found.state != "running":
            raise StudioError(
                "usage",
                f"{found.name} is {found.state}, so there is no router at work that could be heard.",
                "Play the finished mix." if found.state == "done" else "Resume the job first.",
            )
        return found.id, found.spec

    def check_free(self, room: Room, name: str) -> None:
        """StudioError("usage") when the name is taken, in the library or by a job that is not over."""
        self._admission.check_free(room, name)

    def scores_of(self, mix: MixCard, ranks: Mapping[str, int]) -> dict[str, Any]:
        """What the newest finished scoring of this very mix, its experts at ``ranks``, has found; {} when
        there is none. StudioError("usage") for ranks that it does not have."""
        digest, cut = sha256_file(Path(mix.path, MIXER)), cuts_of(mix, ranks)
        done = [
            job
            for job in self.all()
            if isinstance(job.spec, ScoreMix) and job.state == "done" and job.result.get("sha256") == digest
            if cuts_of(mix, job.spec.ranks) == cut
        ]
        newest = max(done, key=lambda job: job.ended or 0.0, default=None)
        return newest.result if newest else {}

    # --- submitting ---

    async def submit(self, request: SubmitJob) -> Job:
        """Check everything, keep what it reads, store the job durably, and only then answer."""
        async with self._submitting:
            if request.id in self._ledger.records:
                known = self._ledger.records[request.id].job
                if known.spec == request.spec:
                    return known
                raise StudioError(
                    "usage", f"Another job already has the id {request.id}.", "Choose another id."
                )
            record, doubts = await self._admission.examine(request)
            folder = self._ledger.folder(record)
            try:
                folder.mkdir(mode=0o700, exist_ok=True)
            except OSError as error:
                raise explain_os_error(error, "storing the job") from error
            record.paths = await asyncio.to_thread(pin, record.paths, folder)
            self._ledger.enter(record)
            for doubt in doubts:
                self._ledger.say(record, "warning", doubt)
        self._running.start_next()
        return record.job

    # --- steering ---

    async def pause(self, job: str) -> Job:
        record = self._ledger.find(job)
        match record.job.state:
            case "queued":
                self._ledger.settle(record, "paused", "Paused.")
            case "running":
                await self._running.steer(record, "pause")
            case "paused":
                pass
            case state:
                raise _cannot(record, "paused", state, "Only a job that waits or runs can be paused.")
        return record.job

    async def resume(self, job: str) -> Job:
        record = self._ledger.find(job)
        match record.job.state:
            case "paused" | "failed" | "held":
                record.keep = False
                self._queue(record, "Waiting for its turn.")
            case "queued" | "running":
                pass
            case state:
                raise _cannot(record, "resumed", state, "Only a paused, failed or held job can be resumed.")
        return record.job

    async def cancel(self, job: str, keep: bool) -> Job:
        """Stop a job. ``keep`` makes what it has learned its result, if need be from its checkpoint."""
        record = self._ledger.find(job)
        if keep and isinstance(record.job.spec, ExportMix | Download):
            raise StudioError(
                "usage", f"Half of {record.job.name} is of no use to anybody.", "Cancel it, or let it end."
            )
        match record.job.state:
            case "running":
                await self._running.steer(record, "keep" if keep else "cancel")
            case "queued" | "paused" | "held" | "failed" if keep:
                if not self._ledger.has_finished_some(record):
                    raise StudioError(
                        "usage",
                        f"{record.job.name} has no checkpoint yet, so there is nothing to keep.",
                        "Let it get further first, or cancel it without keeping.",
                    )
                record.keep = True
                self._queue(record, "Waiting to be kept as it is.")
                await self._running.wait(record)
            case "queued" | "paused" | "held":
                cancelled(self._ledger, record)
                await asyncio.to_thread(give_up, record.job.spec, self._ledger.folder(record))
            case "cancelled":
                pass
            case state:
                raise _cannot(record, "cancelled", state, "It is over; it can be removed from the list.")
        return record.job

    def _queue(self, record: Record, message: str) -> None:
        if record.job.state == "failed":  # its name was free for others meanwhile
            self._admission.check_name(record.job.spec)
        record.crashes = record.false_starts = 0
        self._ledger.settle(record, "queued", message)
        self._running.start_next()

    async def remove(self, job: str) -> None:
        record = self._ledger.find(job)
        if record.job.state not in ENDED:
            raise StudioError(
                "usage", f"{record.job.name} is still {record.job.state}.", "Cancel it before removing it."
            )
        folder = self._ledger.folder(record)
        self._ledger.drop(record)
        await asyncio.to_thread(drop_elsewhere, record.job.spec, folder)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    # --- what the engine passes on ---

    def report(self, runtime: Runtime, message: JobStep | JobCheckpoint | JobEnded) -> None:
        self._running.report(runtime, message)

    def runtime_died(self, runtime: Runtime) -> None:
        self._running.runtime_died(runtime)

    def restore(self, rebuilt: bool) -> None:
        """Load all jobs; those that ran go on. After damage the jobs' folders count too."""
        self._ledger.load(rebuilt)
        self._running.restore()

    async def close(self) -> None:
        """Checkpoint what runs, so that the next start continues exactly there."""
        await self._running.close()

    def flush(self) -> None:
        self._ledger.flush()

    def show_progress(self) -> None:
        self._ledger.show_progress()


def _cannot(record: Record, what: str, state: str, hint: str) -> StudioError:
    return StudioError("usage", f"{record.job.name} is {state} and cannot be {what}.", hint)

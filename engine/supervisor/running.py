"""Jobs at work: whose turn it is, each start fenced by its epoch, going on after every kind of death."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from engine.formats.errors import StudioError
from engine.messages import (
    Download,
    Error,
    JobChanged,
    JobCheckpoint,
    JobEnded,
    JobStep,
    Notice,
    StartJob,
    SteerJob,
)
from engine.supervisor.inputs import pin_late
from engine.supervisor.ledger import ENDED, Ledger
from engine.supervisor.library import Library
from engine.supervisor.results import clear, give_up, put_in_place
from engine.supervisor.runtimes import Runtime, Runtimes
from engine.supervisor.setbacks import cancelled, crashed, go_on_or_hold, interrupted, stopped
from engine.supervisor.spec import DOWNLOADER, SPEECH, reached, title_of, worker_of
from engine.supervisor.store import Record

__all__ = ["Running"]

log = logging.getLogger(__name__)

AT_ONCE = {DOWNLOADER: 3}
"""Jobs that one worker does at a time, where it is not one."""

PATIENCE = 60.0
"""Seconds to wait for a running job to pause or stop before answering with the state it is in."""


@dataclass(eq=False)
class Run:
    """One attempt of a job: who runs it, since when, and whether it is over."""

    epoch: int
    begun: float
    before: float
    runtime: Runtime | None = None
    task: asyncio.Task[None] | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Running:
    """Brings queued jobs and runtimes together: one job at a time on each base, a few downloads at once.

    ``token()`` is the Hub's, for downloads; it may block.
    """

    def __init__(
        self,
        ledger: Ledger,
        library: Library,
        runtimes: Runtimes,
        token: Callable[[], str | None],
    ) -> None:
        self._ledger = ledger
        self._library = library
        self._runtimes = runtimes
        self._token = token
        self._runs: dict[str, Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    # --- starting ---

    def start_next(self) -> None:
        """Give each worker that has room for one more the oldest job that waits for it."""
        if self._closing:
            return
        records = self._ledger.records.values()
        at_work = Counter(self._worker(record) for record in records if record.job.id in self._runs)
        for record in sorted(records, key=lambda record: record.number):
            worker = self._worker(record)
            if record.job.state == "queued" and at_work[worker] < AT_ONCE.get(worker, 1):
                at_work[worker] += 1
                self._start(record)

    def _worker(self, record: Record) -> str:
        """Who does the work of a job, by the name that its base has now."""
        return self._library.base_name(worker_of(record.job.spec))

    def _start(self, record: Record) -> None:
        # The higher epoch is on the disk before any process can carry it.
        record.epoch += 1
        worker = self._worker(record)
        record.job = msgspec.structs.replace(
            record.job,
            state="running",
            message="Asking the Hub." if worker == DOWNLOADER else f"Loading {worker}.",
            attempt=record.job.attempt + 1,
            started=record.job.started or time.time(),
            ended=None,
            error=None,
            seconds_left=None,
        )
        try:
            self._ledger.save(record)
        except StudioError as error:
            record.epoch -= 1
            self._ledger.settle(record, "paused", error.message, error=error.as_message())
            return
        run = Run(epoch=record.epoch, begun=time.monotonic(), before=record.job.seconds)
        self._runs[record.job.id] = run
        self._ledger.announce(JobChanged(job=record.job))
        run.task = self._spawn(self._run(record, run))

    async def _run(self, record: Record, run: Run) -> None:
        """Bring a job and a runtime together. How it ends is told by the runtime, or by its death."""
        if record.output and Path(record.output).is_dir():  # it had finished, but could not be put in place
            await self._publish(record)
            return
        record.output = ""
        try:
            order = await self._order(record, run)
            worker = self._worker(record)
            if worker == DOWNLOADER:
                run.runtime = await self._runtimes.downloader()
            elif worker == SPEECH:
                run.runtime = await self._runtimes.speech()
            else:
                run.runtime = await self._runtimes.ready(self._library.base(worker))
            self._say_started(record, run.runtime)
            await self._runtimes.ask(run.runtime, order)
        except StudioError as error:
            if self._runs.get(record.job.id) is not run or (run.runtime is not None and run.runtime.gone):
                return
            if error.code == "crashed":
                self._crashed(record, error.message, loading=run.runtime is None)
            else:
                self._fail(record, error.as_message())

    async def _order(self, record: Record, run: Run) -> StartJob:
        spec = record.job.spec
        pin_late(record, self._library, self._ledger.folder(record))
        token = await asyncio.to_thread(self._token) if isinstance(spec, Download) else ""
        return StartJob(
            id=record.job.id,
            epoch=run.epoch,
            spec=spec,
            paths=record.paths | self._ledger.given_up(spec),
            folder=str(self._ledger.folder(record)),
            checkpoint=record.checkpoint,
            keep=record.keep,
            token=token or "",
        )

    def _say_started(self, record: Record, runtime: Runtime) -> None:
        job = record.job
        where = reached(job, job.checkpoint_step or 0, " from") if record.checkpoint else ""
        device = "" if runtime.name == DOWNLOADER else f" on {runtime.device}"
        self._ledger.say(record, "info", f"Started{where}{device} (attempt {job.attempt}).")

    # --- steering ---

    async def steer(self, record: Record, action: Literal["pause", "cancel", "keep"]) -> None:
        """Put a word into a running job's mailbox and wait until the job has followed it."""
        run = self._runs[record.job.id]
        if run.runtime is None:
            if action == "keep":
                raise StudioError("busy", f"{record.job.name} is just starting.", "Try again in a moment.")
            self._over(record)
            if run.task is not None:
                run.task.cancel()
            if action == "pause":
                self._ledger.settle(record, "paused", "Paused.")
            else:
                cancelled(self._ledger, record)
            self.start_next()
            return
        try:
            await self._runtimes.ask(run.runtime, SteerJob(id=record.job.id, epoch=run.epoch, action=action))
        except StudioError as error:
            if error.code != "missing":  # else it has just ended, and is on its way to its place
                raise
        await self.wait(record)

    async def wait(self, record: Record) -> None:
        """Wait until the job's present run is over, though not for ever."""
        run = self._runs.get(record.job.id)
        if run is None:
            return
        try:
            await asyncio.wait_for(run.over.wait(), PATIENCE)
        except TimeoutError:
            log.warning("job %s has not ended within %d s", record.job.id, PATIENCE)

    # --- reports ---

    def report(self, runtime: Runtime, message: JobStep | JobCheckpoint | JobEnded) -> None:
        """A runtime's word about a job; one of an older epoch or of another runtime is refused."""
        record, run = self._ledger.records.get(message.id), self._runs.get(message.id)
        if record is None or run is None or run.runtime is not runtime or run.epoch != message.epoch:
            log.warning("refused %s of job %s, epoch %d", type(message).__name__, message.id, message.epoch)
            return
        match message:
            case JobStep():
                self._stepped(record, run, message)
            case JobCheckpoint():
                self._checkpointed(record, message)
            case JobEnded():
                self._ended(record, run, message)

    def _stepped(self, record: Record, run: Run, message: JobStep) -> None:
        for step, values in zip(message.steps_done, message.metrics, strict=False):
            self._ledger.add_step(message.id, step, values)
        step = message.steps_done[-1] if message.steps_done else record.job.step
        if step > record.furthest:
            record.furthest, record.crashes = step, 0
        record.job = msgspec.structs.replace(
            record.job,
            step=step,
            steps=message.steps or record.job.steps,
            message=message.message,
            seconds=run.before + time.monotonic() - run.begun,
            seconds_left=message.seconds_left,
            metrics=message.metrics[-1] if message.metrics else record.job.metrics,
            files=message.files or record.job.files,
        )
        self._ledger.progressed(record)

    def _checkpointed(self, record: Record, message: JobCheckpoint) -> None:
        self._ledger.flush()  # a resume from here must not leave a hole in the curve
        record.checkpoint, record.crashes = message.folder, 0
        record.job = msgspec.structs.replace(record.job, checkpoint_step=message.step)
        self._ledger.save_later(record)
        self._ledger.say(record, "info", f"Checkpoint at step {message.step}.")

    def _ended(self, record: Record, run: Run, message: JobEnded) -> None:
        record.job = msgspec.structs.replace(
            record.job,
            step=message.step,
            seconds=run.before + time.monotonic() - run.begun,
            seconds_left=None,
            metrics={} if isinstance(record.job.spec, Download) else record.job.metrics,  # its speed is over
        )
        match message.outcome:
            case "done" | "kept":
                record.output = message.output
                record.job = msgspec.structs.replace(record.job, result=message.result)
                self._ledger.save_later(record)
                self._spawn(self._publish(record))
                return
            case "paused" if self._closing:
                self._over(record)
                self._ledger.settle(record, "queued", "Waiting for the engine to start again.")
            case "paused":
                self._over(record)
                self._ledger.settle(record, "paused", f"Paused{reached(record.job, message.step, ' at')}.")
            case "cancelled":
                self._over(record)
                cancelled(self._ledger, record)
                self._spawn(asyncio.to_thread(give_up, record.job.spec, self._ledger.folder(record)))
            case "failed":
                unsaid = Error(code="failed", message=f"{title_of(record.job.spec)} failed.")
                self._fail(record, message.error or unsaid)
        self.start_next()

    async def _publish(self, record: Record) -> None:
        """Move a finished result to its place. May be repeated: the output is on record until then."""
        try:
            result, sentence = await put_in_place(record, self._library)
        except StudioError as error:
            self._fail(record, error.as_message())
            return
        self._over(record)
        record.output, record.job = "", msgspec.structs.replace(record.job, result=result)
        self._ledger.settle(record, "done", sentence)
        await asyncio.to_thread(clear, self._ledger.folder(record))
        self.start_next()

    # --- failing ---

    def _fail(self, record: Record, error: Error) -> None:
        self._over(record)
        stopped(self._ledger, record, error)
        self.start_next()

    def runtime_died(self, runtime: Runtime) -> None:
        """Charge the job that ran there, and let it go on from its newest checkpoint."""
        victims = [self._ledger.records[job] for job, run in self._runs.items() if run.runtime is runtime]
        for record in victims:
            self._crashed(record, runtime.gone)
        if not victims and runtime.ready.done() and runtime.ready.exception() is None:
            sentence = f"{runtime.gone} It starts again when needed."
            self._ledger.announce(Notice(level="warning", message=sentence))

    def _crashed(self, record: Record, sentence: str, loading: bool = False) -> None:
        self._over(record)
        crashed(self._ledger, record, sentence, loading)
        if record.output:
            # It had finished; only the way into the library was interrupted.
            self._spawn(self._publish(record))
            return
        go_on_or_hold(self._ledger, record, sentence)
        # Not at once: the runtime that died is still being buried.
        asyncio.get_running_loop().call_soon(self.start_next)

    # --- starting and stopping the engine ---

    def restore(self) -> None:
        """Jobs that ran when the engine ended go back to the queue, or into the library if they had done."""
        for record in self._ledger.records.values():
            if record.job.state not in ENDED:
                try:
                    pin_late(record, self._library, self._ledger.folder(record))
                except StudioError as error:  # which its start will say, if that comes
                    self._ledger.say(record, "warning", str(error))
            if record.job.state != "running":
                continue
            self._ledger.adopt_checkpoint(record)
            if record.output:
                self._spawn(self._publish(record))
                continue
            interrupted(self._ledger, record)
        self.start_next()

    async def close(self, patience: float = 15.0) -> None:
        """Checkpoint what runs, so that the next start continues exactly there."""
        self._closing = True
        waiting = []
        for job, run in list(self._runs.items()):
            if run.runtime is not None:
                waiting.append(asyncio.create_task(self.steer(self._ledger.records[job], "pause")))
            elif run.task is not None:
                run.task.cancel()
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=patience)
            for task in late:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        self._ledger.flush()

    def _over(self, record: Record) -> None:
        run = self._runs.pop(record.job.id, None)
        if run is not None:
            run.over.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._reap)
        return task

    def _reap(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a background task failed", exc_info=error)

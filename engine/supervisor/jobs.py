"""The job queue: acknowledged only when stored, fenced by epochs, resumed after every kind of death."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from engine.formats.checkpoint_folder import newest_checkpoint
from engine.formats.dataset import describe, snapshot
from engine.formats.errors import StudioError
from engine.formats.files import explain_os_error, write_file
from engine.messages import (
    Error,
    EventBody,
    GaugeBody,
    Job,
    JobChanged,
    JobCheckpoint,
    JobEnded,
    JobProgress,
    JobRemoved,
    JobSpec,
    JobStep,
    LogLine,
    Metrics,
    Notice,
    StartJob,
    SteerJob,
    SubmitJob,
    TrainLora,
    TrainRouter,
)
from engine.supervisor.home import Home
from engine.supervisor.library import Library
from engine.supervisor.runtimes import Runtime, Runtimes
from engine.supervisor.spec import check_spec, planned_steps
from engine.supervisor.store import Record, Store

__all__ = ["Jobs"]

log = logging.getLogger(__name__)

CRASHES = 3
"""Deaths of a runtime in a row, without the job getting further, after which the job is held."""

FALSE_STARTS = 10
"""Deaths in a row of runtimes that were still loading, after which the job is held, though it had no part."""

PATIENCE = 60.0
"""Seconds to wait for a running job to pause or stop before answering with the state it is in."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ENDED = ("done", "failed", "cancelled")
_MIRROR = "job.json"


@dataclass(eq=False)
class Run:
    """One attempt of a job: who runs it, since when, and whether it is over."""

    epoch: int
    begun: float
    before: float
    runtime: Runtime | None = None
    task: asyncio.Task[None] | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Jobs:
    """All jobs. ``announce`` tells everyone durably, ``show`` is for gauges."""

    def __init__(
        self,
        home: Home,
        store: Store,
        library: Library,
        runtimes: Runtimes,
        announce: Callable[[EventBody], None],
        show: Callable[[GaugeBody], None],
    ) -> None:
        self._home = home
        self._store = store
        self._library = library
        self._runtimes = runtimes
        self._announce = announce
        self._show = show
        self._records: dict[str, Record] = {}
        self._runs: dict[str, Run] = {}
        self._curve: list[tuple[str, int, dict[str, float]]] = []
        self._lines: list[tuple[str, LogLine]] = []
        self._unsaved: set[str] = set()
        self._progress: dict[str, JobProgress] = {}
        self._submitting = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    # --- looking ---

    def all(self) -> list[Job]:
        return [record.job for record in self._records.values()]

    def show(self, job: str) -> Job:
        return self._record(job).job

    def log(self, job: str) -> list[LogLine]:
        self._record(job)
        self.flush()
        return self._store.log(job)

    def metrics(self, job: str, since: int) -> Metrics:
        self._record(job)
        self.flush()
        return self._store.metrics(job, since)

    def active(self) -> bool:
        return any(record.job.state in ("queued", "running") for record in self._records.values())

    def _record(self, job: str) -> Record:
        if job in self._records:
            return self._records[job]
        begins = [record for key, record in self._records.items() if job and key.startswith(job)]
        if len(begins) == 1:
            return begins[0]
        raise StudioError(
            "missing", f"There is no job {job}.", "`adapter-studio jobs list` shows all of them."
        )

    # --- submitting ---

    async def submit(self, request: SubmitJob) -> Job:
        """Check everything, keep a copy of the data, store the job durably, and only then answer."""
        async with self._submitting:
            if request.id in self._records:
                known = self._records[request.id].job
                if known.spec == request.spec:
                    return known
                raise StudioError(
                    "usage", f"Another job already has the id {request.id}.", "Choose another id."
                )
            if not _ID.fullmatch(request.id):
                raise StudioError(
                    "usage",
                    "A job's id has up to 64 letters, digits, dashes and underscores.",
                    "Choose another id.",
                )
            record = await self._examine(request)
            folder = self._home.jobs / request.id
            try:
                folder.mkdir(mode=0o700, exist_ok=True)
            except OSError as error:
                raise explain_os_error(error, "storing the job") from error
            await asyncio.to_thread(_mirror, folder, record)
            self._store.save_job(record)
            self._records[request.id] = record
        self._say(record, "info", "Queued.")
        self._announce(JobChanged(job=record.job))
        self.start_next()
        return record.job

    async def _examine(self, request: SubmitJob) -> Record:
        spec = request.spec
        check_spec(spec)
        self._resolve(spec)
        self._check_name(spec)
        source = self._library.data(spec.data)
        data = await asyncio.to_thread(describe, source)
        copy = await asyncio.to_thread(snapshot, source, self._home.data)
        job = Job(
            id=request.id,
            kind="lora" if isinstance(spec, TrainLora) else "router",
            name=spec.out,
            state="queued",
            step=0,
            steps=planned_steps(spec, data.rows),
            message="Waiting for its turn.",
            spec=spec,
            created=time.time(),
        )
        number = 1 + max((record.number for record in self._records.values()), default=0)
        return Record(job=job, paths={"data": str(copy)}, number=number)

    def _check_name(self, spec: JobSpec) -> None:
        self._library.check_free(_room(spec), spec.out)
        for record in self._records.values():
            other = record.job
            same = _room(other.spec) == _room(spec) and other.spec.out.casefold() == spec.out.casefold()
            if same and other.state not in _ENDED:
                raise StudioError(
                    "usage",
                    f"A job that makes {other.name} is already {other.state}.",
                    "Choose another name, or cancel that job first.",
                )

    def _resolve(self, spec: JobSpec) -> dict[str, str]:
        """The folders behind the names in a spec; StudioError for one missing or made for another base."""
        base = self._library.base(spec.base)
        if isinstance(spec, TrainLora):
            return {}
        paths = {}
        known = {card.name for card in self._library.bases()}
        for name in spec.experts:
            card = self._library.adapter(name)
            if card.base in known and card.base != base.name:
                raise StudioError(
                    "adapter",
                    f"The expert {name} was made for {card.base}, not for {base.name}.",
                    "Choose experts of one base.",
                )
            paths[f"adapter:{name}"] = card.path
        return paths

    # --- steering ---

    async def pause(self, job: str) -> Job:
        record = self._record(job)
        match record.job.state:
            case "queued":
                self._settle(record, "paused", "Paused.")
            case "running":
                await self._steer(record, "pause")
            case "paused":
                pass
            case state:
                raise _cannot(record, "paused", state)
        return record.job

    async def resume(self, job: str) -> Job:
        record = self._record(job)
        match record.job.state:
            case "paused" | "failed" | "held":
                if record.job.state == "failed":  # its name was free for others meanwhile
                    self._check_name(record.job.spec)
                record.crashes = record.false_starts = 0
                self._settle(record, "queued", "Waiting for its turn.")
                self.start_next()
            case "queued" | "running":
                pass
            case state:
                raise _cannot(record, "resumed", state)
        return record.job

    async def cancel(self, job: str, keep: bool) -> Job:
        record = self._record(job)
        match record.job.state:
            case "running":
                await self._steer(record, "keep" if keep else "cancel")
            case "queued" | "paused" | "held" if keep:
                raise StudioError(
                    "usage",
                    f"{record.job.name} is {record.job.state}, so there is nothing at work to be kept.",
                    "Resume it, then stop and keep; or cancel it without keeping.",
                )
            case "queued" | "paused" | "held":
                self._settle(record, "cancelled", "Cancelled.")
                await asyncio.to_thread(_clear, self._home.jobs / record.job.id)
            case "cancelled":
                pass
            case state:
                raise _cannot(record, "cancelled", state)
        return record.job

    async def remove(self, job: str) -> None:
        record = self._record(job)
        if record.job.state not in _ENDED:
            raise StudioError(
                "usage", f"{record.job.name} is still {record.job.state}.", "Cancel it before removing it."
            )
        self.flush()
        self._store.drop_job(record.job.id)
        del self._records[record.job.id]
        await asyncio.to_thread(shutil.rmtree, self._home.jobs / record.job.id, ignore_errors=True)
        self._announce(JobRemoved(id=record.job.id))

    async def _steer(self, record: Record, action: Literal["pause", "cancel", "keep"]) -> None:
        """Put a word into a running job's mailbox and wait until the job has followed it."""
        run = self._runs[record.job.id]
        if run.runtime is None:
            if action == "keep":
                raise StudioError("busy", f"{record.job.name} is just starting.", "Try again in a moment.")
            state: Literal["paused", "cancelled"] = "paused" if action == "pause" else "cancelled"
            self._over(record)
            if run.task is not None:
                run.task.cancel()
            self._settle(record, state, state.capitalize() + ".")
            self.start_next()
            return
        word = SteerJob(id=record.job.id, epoch=run.epoch, action=action)
        await self._runtimes.ask(run.runtime, word)
        try:
            await asyncio.wait_for(run.over.wait(), PATIENCE)
        except TimeoutError:
            log.warning("job %s has not followed %s for %d s", record.job.id, action, PATIENCE)

    # --- running ---

    def start_next(self) -> None:
        """Give each base that has no running job the oldest queued one."""
        if self._closing:
            return
        busy = {record.job.spec.base for record in self._records.values() if record.job.id in self._runs}
        for record in sorted(self._records.values(), key=lambda record: record.number):
            base = record.job.spec.base
            if record.job.state == "queued" and base not in busy:
                busy.add(base)
                self._start(record)

    def _start(self, record: Record) -> None:
        # The higher epoch is on the disk before any process can carry it.
        record.epoch += 1
        record.job = msgspec.structs.replace(
            record.job,
            state="running",
            message=f"Loading {record.job.spec.base}.",
            attempt=record.job.attempt + 1,
            started=record.job.started or time.time(),
            ended=None,
            error=None,
            seconds_left=None,
        )
        try:
            self._store.save_job(record)
        except StudioError as error:
            record.epoch -= 1
            self._settle(record, "paused", error.message, error=error.as_message())
            return
        run = Run(epoch=record.epoch, begun=time.monotonic(), before=record.job.seconds)
        self._runs[record.job.id] = run
        self._announce(JobChanged(job=record.job))
        run.task = self._spawn(self._run(record, run))

    async def _run(self, record: Record, run: Run) -> None:
        """Bring a job and a runtime together. How it ends is told by the runtime, or by its death."""
        spec = record.job.spec
        try:
            paths = self._resolve(spec) | {"data": record.paths["data"]}
            runtime = await self._runtimes.ready(self._library.base(spec.base))
            run.runtime = runtime
            folder = str(self._home.jobs / record.job.id)
            where = f" from step {record.job.checkpoint_step}" if record.checkpoint else ""
            self._say(record, "info", f"Started{where} on {runtime.device} (attempt {record.job.attempt}).")
            await self._runtimes.ask(
                runtime,
                StartJob(
                    id=record.job.id,
                    epoch=run.epoch,
                    spec=spec,
                    paths=paths,
                    folder=folder,
                    checkpoint=record.checkpoint,
                ),
            )
        except StudioError as error:
            if self._runs.get(record.job.id) is not run or (run.runtime is not None and run.runtime.gone):
                return
            if error.code == "crashed":
                self._crashed(record, error.message, loading=run.runtime is None)
            else:
                self._fail(record, error.as_message())

    def report(self, runtime: Runtime, message: JobStep | JobCheckpoint | JobEnded) -> None:
        """A runtime's word about a job; one of an older epoch or of another runtime is refused."""
        record, run = self._records.get(message.id), self._runs.get(message.id)
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
            self._curve.append((message.id, step, values))
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
        )
        self._progress[message.id] = JobProgress(
            id=message.id,
            step=step,
            steps=record.job.steps,
            message=message.message,
            seconds_left=message.seconds_left,
            metrics=record.job.metrics,
        )

    def _checkpointed(self, record: Record, message: JobCheckpoint) -> None:
        self.flush()  # a resume from here must not leave a hole in the curve
        record.checkpoint, record.crashes = message.folder, 0
        record.job = msgspec.structs.replace(record.job, checkpoint_step=message.step)
        self._save(record)
        self._say(record, "info", f"Checkpoint at step {message.step}.")

    def _ended(self, record: Record, run: Run, message: JobEnded) -> None:
        record.job = msgspec.structs.replace(
            record.job,
            step=message.step,
            seconds=run.before + time.monotonic() - run.begun,
            seconds_left=None,
        )
        match message.outcome:
            case "done" | "kept":
                record.output = message.output
                record.job = msgspec.structs.replace(record.job, result=message.result)
                self._save(record)
                self._spawn(self._publish(record, kept=message.outcome == "kept"))
                return
            case "paused" if self._closing:
                self._over(record)
                self._settle(record, "queued", "Waiting for the engine to start again.")
            case "paused":
                self._over(record)
                self._settle(record, "paused", f"Paused at step {message.step}.")
            case "cancelled":
                self._over(record)
                self._settle(record, "cancelled", f"Cancelled at step {message.step}.")
                self._spawn(asyncio.to_thread(_clear, self._home.jobs / record.job.id))
            case "failed":
                unsaid = Error(code="failed", message=f"Training “{record.job.name}” failed.")
                self._fail(record, message.error or unsaid)
        self.start_next()

    async def _publish(self, record: Record, kept: bool) -> None:
        """Move a finished result into the library. May be repeated: the output is on record until then."""
        job = record.job
        try:
            await self._library.adopt(_room(job.spec), Path(record.output), job.name)
        except StudioError as error:
            self._fail(record, error.as_message())
            return
        self._over(record)
        record.output = ""
        message = f"Stopped at step {job.step} and kept." if kept else f"Done after {job.step} steps."
        self._settle(record, "done", message)
        await asyncio.to_thread(_clear, self._home.jobs / job.id)
        self.start_next()

    # --- failing ---

    def _fail(self, record: Record, error: Error) -> None:
        """A job that says why it cannot go on. A full disk is no fault of the job: it is paused."""
        self._over(record)
        if error.code == "disk":
            self._settle(record, "paused", f"Paused: {error.message}", error=error)
        else:
            self._settle(record, "failed", error.message, error=error)
        self._announce(
            Notice(
                level="error",
                message=f"Training “{record.job.name}” has stopped. {error.message}",
                hint=error.hint,
                job=record.job.id,
            )
        )
        self.start_next()

    def runtime_died(self, runtime: Runtime) -> None:
        """Charge the job that ran there, and let it go on from its newest checkpoint."""
        victims = [self._records[job] for job, run in self._runs.items() if run.runtime is runtime]
        for record in victims:
            self._crashed(record, runtime.gone)
        if not victims and runtime.ready.done() and runtime.ready.exception() is None:
            self._announce(Notice(level="warning", message=f"{runtime.gone} It starts again when needed."))

    def _crashed(self, record: Record, sentence: str, loading: bool = False) -> None:
        self._over(record)
        if loading:
            record.false_starts += 1
        else:
            record.crashes, record.false_starts = record.crashes + 1, 0
        self._say(record, "error", sentence)
        if record.output:
            # It had finished; only the way into the library was interrupted.
            self._spawn(self._publish(record, kept=False))
            return
        self._adopt_checkpoint(record)
        step = record.job.checkpoint_step or 0
        if record.crashes >= CRASHES or record.false_starts >= FALSE_STARTS:
            times = f"{record.crashes} stops" if not loading else f"{record.false_starts} vain starts"
            reason = f"{sentence} It is held after {times} in which it got no further."
            error = Error(code="held", message=reason, hint="Resume it to try once more, or cancel it.")
            self._settle(record, "held", reason, error=error)
            self._announce(
                Notice(
                    level="error",
                    message=f"{sentence} Training “{record.job.name}” is held after {times}.",
                    hint="Resume it to try once more, or cancel it.",
                    job=record.job.id,
                )
            )
        else:
            self._settle(record, "queued", f"Continues from step {step}.", step=step)
            self._announce(
                Notice(
                    level="warning",
                    message=f"{sentence} Training “{record.job.name}” continues from step {step}.",
                    job=record.job.id,
                )
            )
        # Not at once: the runtime that died is still being buried.
        asyncio.get_running_loop().call_soon(self.start_next)

    def _adopt_checkpoint(self, record: Record) -> None:
        """A checkpoint that was complete on the disk before its report could arrive counts as well.

        Unless the steps before it were never reported: going on from there would leave a hole in the curve.
        """
        self.flush()
        found = newest_checkpoint(self._home.jobs / record.job.id, record.epoch)
        known = self._store.last_step(record.job.id)
        if found is not None and (record.job.checkpoint_step or 0) <= found.step <= known:
            record.checkpoint = str(found.folder)
            record.job = msgspec.structs.replace(record.job, checkpoint_step=found.step)

    # --- starting and stopping the engine ---

    def restore(self, rebuilt: bool) -> None:
        """Load all jobs; those that ran go back to the queue. After damage the jobs' folders count too."""
        self._records = {record.job.id: record for record in self._store.jobs()}
        if rebuilt:
            for record in _mirrors(self._home.jobs):
                self._records[record.job.id] = record
                self._store.save_job(record)
            self._records = dict(sorted(self._records.items(), key=lambda item: item[1].number))
        for record in self._records.values():
            if record.job.state == "running":
                self._adopt_checkpoint(record)
                if record.output:
                    self._spawn(self._publish(record, kept=False))
                    continue
                step = record.job.checkpoint_step or 0
                self._settle(record, "queued", f"Interrupted; continues from step {step}.", step=step)
                self._announce(
                    Notice(
                        level="info",
                        message=f"Training “{record.job.name}” was interrupted; it goes on from step {step}.",
                        job=record.job.id,
                    )
                )
        self.start_next()

    async def close(self, patience: float = 15.0) -> None:
        """Checkpoint what runs, so that the next start continues exactly there."""
        self._closing = True
        waiting = []
        for job, run in list(self._runs.items()):
            if run.runtime is not None:
                waiting.append(asyncio.create_task(self._steer(self._records[job], "pause")))
            elif run.task is not None:
                run.task.cancel()
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=patience)
            for task in late:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        self.flush()

    # --- keeping ---

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
                if job in self._records:
                    self._store.save_job(self._records[job])
                self._unsaved.discard(job)
        except StudioError as error:
            log.error("not recorded yet: %s (%s)", error, error.detail)

    def show_progress(self) -> None:
        for progress in self._progress.values():
            self._show(progress)
        self._progress.clear()

    def _save(self, record: Record) -> None:
        """Record a change that has already happened; when the disk is full it is recorded later."""
        try:
            self._store.save_job(record)
        except StudioError as error:
            self._unsaved.add(record.job.id)
            log.error("job %s not recorded yet: %s (%s)", record.job.id, error, error.detail)

    def _settle(
        self,
        record: Record,
        state: Literal["queued", "paused", "done", "failed", "cancelled", "held"],
        message: str,
        *,
        error: Error | None = None,
        step: int | None = None,
    ) -> None:
        """A change of state: recorded, mirrored beside the job, written in its log, told to everyone."""
        ended = time.time() if state in _ENDED else None
        job = msgspec.structs.replace(
            record.job, state=state, message=message, error=error, ended=ended, seconds_left=None
        )
        record.job = job if step is None else msgspec.structs.replace(job, step=step)
        self._progress.pop(record.job.id, None)
        self._save(record)
        try:
            _mirror(self._home.jobs / record.job.id, record)
        except StudioError as full:
            log.error("no copy beside the job: %s", full)
        self._say(record, "error" if error else "info", message)
        self._announce(JobChanged(job=record.job))

    def _over(self, record: Record) -> None:
        run = self._runs.pop(record.job.id, None)
        if run is not None:
            run.over.set()

    def _say(self, record: Record, level: str, text: str) -> None:
        self._lines.append((record.job.id, LogLine(time=time.time(), level=level, text=text)))

    def _spawn(self, work: object) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self._tasks.add(task)
        task.add_done_callback(self._reap)
        return task

    def _reap(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a background task failed", exc_info=error)


def _room(spec: JobSpec) -> Literal["adapters", "mixes"]:
    return "mixes" if isinstance(spec, TrainRouter) else "adapters"


def _cannot(record: Record, what: str, state: str) -> StudioError:
    return StudioError("usage", f"{record.job.name} is {state} and cannot be {what}.")


def _mirror(folder: Path, record: Record) -> None:
    """A copy of the record beside the job's files, from which a damaged database is rebuilt."""
    write_file(folder / _MIRROR, msgspec.json.encode(record), mode=0o600, doing="storing the job")


def _mirrors(room: Path) -> list[Record]:
    found = []
    for file in sorted(room.glob(f"*/{_MIRROR}")):
        try:
            found.append(msgspec.json.decode(file.read_bytes(), type=Record))
        except msgspec.DecodeError as error:
            log.error("%s cannot be read: %s", file, error)
    return found


def _clear(folder: Path) -> None:
    """Drop the checkpoints and leftovers of a job that needs them no more."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != _MIRROR:
            path.unlink(missing_ok=True)

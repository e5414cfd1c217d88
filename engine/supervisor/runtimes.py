"""The processes that do the work, one for each base, one for speech, one that downloads: started on demand,
watched, and asked; their death becomes a sentence."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import logging
import logging.handlers
import os
import secrets
import signal
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import psutil

from engine.formats.errors import StudioError
from engine.messages import (
    BaseCard,
    Body,
    Call,
    Cancel,
    Downward,
    Error,
    Failure,
    Heartbeat,
    Progress,
    Result,
    RuntimeCard,
    RuntimeReady,
    StartJob,
    SteerJob,
    Work,
)
from engine.supervisor.home import Home
from engine.supervisor.spec import DOWNLOADER, SPEECH

__all__ = ["RUNTIME", "Runtime", "Runtimes"]

log = logging.getLogger(__name__)

RUNTIME = (sys.executable, "-P", "-m", "engine.runtime")
DOWNLOADS = (sys.executable, "-P", "-m", "engine.hub")
TRANSCRIBING = (sys.executable, "-P", "-m", "engine.runtime.speech")

ALONE = (DOWNLOADER, SPEECH)
"""Those that hold no base: each does all of its kind of work."""

SILENCE = 120.0
"""Seconds without a heartbeat after which a runtime counts as hung."""

IDLE = 60.0
"""Seconds a runtime must have been idle before it may be stopped: the downloader at once, which is started
again in no time, the others to free memory."""

SCARCE = 0.08
"""Share of the machine's memory below which idle runtimes are stopped."""

MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(256 << 20), "MALLOC_MMAP_THRESHOLD_": str(32 << 20)}
"""For glibc, others do not read it: it would give what a pass has used back to the system after each one,
and take it again page by page, up to a fifth of the processor's time. Older ones allow 32 MiB at most."""

Send = Callable[[bytes, Downward], bool]


@dataclass(eq=False)
class Runtime:
    """One process, ``name`` that of its base, SPEECH, or DOWNLOADER. ``gone`` is its obituary, "" while it
    lives."""

    name: str
    process: asyncio.subprocess.Process
    token: str
    ready: asyncio.Future[None]
    identity: bytes = b""
    device: str = "auto"
    memory: int = 0
    busy: str = ""
    beat: float = 0.0
    used: float = 0.0
    stopping: bool = False
    gone: str = ""
    asked: dict[str, tuple[asyncio.Future[Body], Callable[[Body], None]]] = field(default_factory=dict)
    tail: collections.deque[str] = field(default_factory=lambda: collections.deque(maxlen=40))

    @property
    def title(self) -> str:
        """What it is called at the beginning of a sentence."""
        return self.name.capitalize() if self.name in ALONE else f"The runtime of {self.name}"

    @property
    def card(self) -> RuntimeCard:
        state = "starting" if not self.ready.done() else "busy" if self.busy else "ready"
        return RuntimeCard(
            base=self.name,
            device=self.device,
            pid=self.process.pid,
            state=state,
            memory=self.memory,
        )


class Runtimes:
    """All runtimes, one per base, and those of speech and of downloads, which are like them.

    ``changed()`` is called when one starts, gets ready or goes; ``died(runtime)`` when one went untold.
    """

    def __init__(
        self,
        home: Home,
        *,
        send: Send,
        changed: Callable[[], None],
        died: Callable[[Runtime], None],
        threads: int,
        command: Sequence[str] = RUNTIME,
    ) -> None:
        self._home = home
        self._send = send
        self._changed = changed
        self._died = died
        self._threads = threads
        self._command = tuple(command)
        self._endpoint = ""
        self._by_name: dict[str, Runtime] = {}
        self._by_identity: dict[bytes, Runtime] = {}
        self._stillborn: collections.Counter[str] = collections.Counter()
        self._starting: collections.defaultdict[str, asyncio.Lock] = collections.defaultdict(asyncio.Lock)
        self._watchers: set[asyncio.Task[None]] = set()

    def serve_at(self, endpoint: str) -> None:
        """Where runtimes shall connect to."""
        self._endpoint = endpoint

    def cards(self) -> list[RuntimeCard]:
        """Those that hold a base."""
        return [runtime.card for runtime in self._by_name.values() if runtime.name not in ALONE]

    def memory(self) -> int:
        """Bytes that all of them use."""
        return sum(runtime.memory for runtime in self._by_name.values())

    def connected(self) -> int:
        return len(self._by_identity)

    def of(self, identity: bytes) -> Runtime | None:
        return self._by_identity.get(identity)

    # --- asking ---

    async def ready(self, base: BaseCard, say: Callable[[str], None] = lambda text: None) -> Runtime:
        """The runtime of ``base``, started if need be and ready. StudioError("crashed") if it dies first."""
        options = ("--base", base.path, "--name", base.name, "--device", "auto")
        return await self._ready(base.name, (*self._command, *options, "--threads", str(self._threads)), say)

    def rename(self, before: str, after: str) -> None:
        """A base is called otherwise now: the runtime that holds it goes on under its new name."""
        if runtime := self._by_name.pop(before, None):
            runtime.name = after
            self._by_name[after] = runtime
            self._changed()

    async def downloader(self) -> Runtime:
        """The process that fetches from the Hub, likewise."""
        return await self._ready(DOWNLOADER, DOWNLOADS, lambda text: None)

    async def speech(self, say: Callable[[str], None] = lambda text: None) -> Runtime:
        """The process that transcribes and trains to transcribe, likewise."""
        command = (*TRANSCRIBING, "--device", "auto", "--threads", str(self._threads))
        return await self._ready(SPEECH, command, say)

    async def _ready(self, name: str, command: Sequence[str], say: Callable[[str], None]) -> Runtime:
        async with self._starting[name]:
            runtime = self._by_name.get(name)
            if runtime is None or runtime.stopping:
                await asyncio.sleep(self._pause(name))
                runtime = await self._spawn(name, command)
        if not runtime.ready.done():
            say(f"Loading {name}.")
        await asyncio.shield(runtime.ready)
        return runtime

    async def ask(
        self,
        runtime: Runtime,
        body: Work | StartJob | SteerJob,
        on_progress: Callable[[Body], None] = lambda body: None,
    ) -> Body:
        """Send one call and wait for its result. A Failure is raised as StudioError, a cancel passed on."""
        if runtime.gone:
            raise self._obituary(runtime)
        key = uuid.uuid4().hex
        answer: asyncio.Future[Body] = asyncio.get_running_loop().create_future()
        runtime.asked[key] = answer, on_progress
        try:
            self._send(runtime.identity, Call(id=key, body=body))
            return await answer
        except asyncio.CancelledError:
            if not runtime.gone:
                self._send(runtime.identity, Cancel(id=key))
            raise
        finally:
            runtime.asked.pop(key, None)
            runtime.used = time.monotonic()

    def receive(self, runtime: Runtime, message: Progress | Result | Failure | Heartbeat) -> None:
        """What a runtime said about a call, or that it lives."""
        runtime.beat = time.monotonic()
        if isinstance(message, Heartbeat):
            was = bool(runtime.busy)
            runtime.memory, runtime.busy = message.memory, message.busy
            if was != bool(runtime.busy):
                self._changed()
            return
        # An answer to a call that was cancelled meanwhile finds nobody waiting.
        answer, on_progress = runtime.asked.get(message.id, (None, None))
        if answer is None or on_progress is None or answer.done():
            return
        match message:
            case Progress(body=body):
                on_progress(body)
            case Result(body=body):
                answer.set_result(body)
            case Failure(error=error):
                answer.set_exception(_as_exception(error))

    def welcome(self, identity: bytes, hello: RuntimeReady) -> Runtime:
        """A runtime introduces itself. StudioError("refused") when nobody started it."""
        for runtime in self._by_name.values():
            if secrets.compare_digest(runtime.token, hello.token):
                break
        else:
            raise StudioError("refused", "A runtime that this engine did not start tried to connect.")
        runtime.identity, runtime.device = identity, hello.device
        runtime.beat = runtime.used = time.monotonic()
        self._by_identity[identity] = runtime
        self._stillborn.pop(runtime.name, None)
        if not runtime.ready.done():
            runtime.ready.set_result(None)
        log.info("%s is ready after %.1f s", runtime.title, hello.load_seconds)
        self._changed()
        return runtime

    # --- living and dying ---

    def _pause(self, name: str) -> float:
        """Seconds to wait before the next start: none, then doubling while it dies before it is ready."""
        deaths = self._stillborn[name]
        return 0.0 if deaths == 0 else min(30.0, 0.25 * 2.0**deaths)

    async def _spawn(self, name: str, command: Sequence[str]) -> Runtime:
        token = secrets.token_hex(16)
        process = await asyncio.create_subprocess_exec(
            *command,
            *("--socket", self._endpoint, "--token", token, "--parent", str(os.getpid())),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            env={**MEMORY, **os.environ, "PYTHONUNBUFFERED": "1"},
        )
        now = time.monotonic()
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        runtime = Runtime(name=name, process=process, token=token, ready=ready, beat=now, used=now)
        self._by_name[name] = runtime
        watcher = asyncio.create_task(self._watch(runtime))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)
        self._changed()
        return runtime

    async def _watch(self, runtime: Runtime) -> None:
        """Keep what the process prints, and bury it when it ends."""
        assert runtime.process.stdout is not None
        log_name = {DOWNLOADER: "downloads", SPEECH: "speech"}.get(runtime.name, f"runtime-{runtime.name}")
        handler = logging.handlers.RotatingFileHandler(
            self._home.logs / f"{log_name}.log",
            maxBytes=1_000_000,
            backupCount=3,
            delay=True,
        )
        # A grandchild may keep the pipe open, so the end of the process counts and not the end of the output.
        reader = asyncio.create_task(_keep_output(runtime.process.stdout, runtime.tail, handler))
        code = await runtime.process.wait()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(reader, 1.0)
        handler.close()
        _kill_group(runtime.process.pid)
        self._bury(runtime, code)

    def _bury(self, runtime: Runtime, code: int) -> None:
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        stillborn = not runtime.ready.done()
        what = "could not start" if stillborn else "stopped unexpectedly"
        runtime.gone = f"{runtime.title} {what} ({how})."
        if runtime.stopping:
            runtime.gone = f"{runtime.title} was stopped."
        if self._by_name.get(runtime.name) is runtime:
            del self._by_name[runtime.name]
        self._by_identity.pop(runtime.identity, None)
        obituary = self._obituary(runtime)
        if stillborn:
            self._stillborn[runtime.name] += 1
            runtime.ready.set_exception(obituary)
            # Whoever asked for it may be gone; a future whose exception nobody reads would complain.
            runtime.ready.exception()
        for answer, _ in runtime.asked.values():
            if not answer.done():
                answer.set_exception(self._obituary(runtime))
        log.warning("%s", runtime.gone)
        if not runtime.stopping:
            self._died(runtime)
        self._changed()

    @staticmethod
    def _obituary(runtime: Runtime) -> StudioError:
        return StudioError(
            "crashed", runtime.gone, "Try again: a new one is started on demand.", "\n".join(runtime.tail)
        )

    def look_after(self) -> None:
        """Called every second or so: kill the hung, and stop idle ones where that is of use."""
        now, memory = time.monotonic(), psutil.virtual_memory()
        scarce = memory.available < SCARCE * memory.total
        for runtime in list(self._by_name.values()):
            if runtime.ready.done() and now - runtime.beat > SILENCE:
                log.error("%s has been silent for %d s", runtime.title, now - runtime.beat)
                _kill_group(runtime.process.pid)
            idle = not runtime.asked and not runtime.busy and now - runtime.used > IDLE
            if idle and (scarce or runtime.name == DOWNLOADER):
                log.info("%s is idle and stopped", runtime.title)
                runtime.stopping = True
                _kill_group(runtime.process.pid)

    async def stop_all(self) -> None:
        """End every runtime and wait until it is gone."""
        for runtime in self._by_name.values():
            runtime.stopping = True
            _kill_group(runtime.process.pid)
        if self._watchers:
            await asyncio.wait(set(self._watchers), timeout=10.0)


def _as_exception(error: Error) -> StudioError:
    return StudioError(error.code, error.message, error.hint, error.detail)


async def _keep_output(
    pipe: asyncio.StreamReader, tail: collections.deque[str], handler: logging.Handler
) -> None:
    while chunk := await pipe.read(1 << 16):
        for line in chunk.decode(errors="replace").splitlines():
            tail.append(line[:500])
            handler.emit(logging.LogRecord("runtime", logging.INFO, "", 0, line, None, None))


def _kill_group(pid: int) -> None:
    """Nothing a runtime started may outlive it. A runtime leads its own group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)

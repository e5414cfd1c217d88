"""The engine's one door: it decodes strictly, answers every call once, and tells everyone what happened."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import psutil
import zmq
import zmq.asyncio
from zmq.utils.monitor import recv_monitor_message

from engine import messages
from engine.formats.adapter_file import inspect_folder
from engine.formats.dataset import describe
from engine.formats.errors import StudioError
from engine.formats.files import explain_os_error
from engine.messages import (
    Body,
    Call,
    Cancel,
    Downward,
    Event,
    EventBody,
    Failure,
    Gauge,
    GaugeBody,
    Progress,
    Result,
    Subscribe,
    Welcome,
)
from engine.supervisor.doctor import examine
from engine.supervisor.home import Announcement, Home, process_lives
from engine.supervisor.jobs import Jobs
from engine.supervisor.library import Library
from engine.supervisor.runtimes import RUNTIME, Runtime, Runtimes
from engine.supervisor.starter import STARTER, Starter
from engine.supervisor.store import open_store

__all__ = ["Engine"]

log = logging.getLogger(__name__)

LARGEST_MESSAGE = 16 << 20
GAUGES = 0.2
"""Seconds between two rounds of gauges, and between two commits of curves."""

LINGER = 3.0
"""Seconds that an engine nobody detached outlives its last client."""

FIRST_CLIENT = 60.0
"""Seconds that such an engine waits for its first client."""

_CANCELLED = messages.Error(code="cancelled", message="Cancelled.")

BACKUP = 3600.0
FRESH_EVENTS = 1000


class Engine:
    """One engine on one home. ``run`` serves until it is told to stop."""

    def __init__(
        self,
        home: Home,
        *,
        detached: bool = False,
        parent: int | None = None,
        threads: int = 1,
        runtime_command: Sequence[str] = RUNTIME,
        starter: Path = STARTER,
    ) -> None:
        """Prepare the home, lock it and open the store. StudioError("busy") if another engine runs on it."""
        home.prepare()
        self._home = home
        self._lock = home.lock()
        self._detached = detached
        self._parent = parent
        self._run_id = uuid.uuid4().hex
        self._stop = asyncio.Event()
        self._store, self._damage = open_store(home.database, home.backup)
        self._last = self._boot = self._store.last_event()
        self._events: deque[Event] = deque(maxlen=FRESH_EVENTS)
        self._unsaved: list[Event] = []
        self._told: dict[bytes, int] = {}
        self._unheard = True
        self._answers: dict[tuple[bytes, str], asyncio.Task[None]] = {}
        self._connections: set[int] = set()
        self._last_client = time.monotonic() + FIRST_CLIENT
        self._router: zmq.asyncio.Socket | None = None
        self._library = Library(home, self._store, Starter(starter), self._library_changed)
        self._runtimes = Runtimes(
            home,
            send=self._send,
            changed=self._runtimes_changed,
            died=self._runtime_died,
            threads=threads,
            command=runtime_command,
        )
        self._jobs = Jobs(home, self._store, self._library, self._runtimes, self.announce, self.show)

    async def run(self, on_ready: Callable[[Announcement], None]) -> None:
        """Serve. ``on_ready`` is called once clients may connect."""
        context = zmq.asyncio.Context()
        path = self._home.socket_path()
        router = self._router = context.socket(zmq.ROUTER)
        router.set(zmq.ROUTER_MANDATORY, 1)
        router.set(zmq.MAXMSGSIZE, LARGEST_MESSAGE)
        router.set(zmq.LINGER, 500)
        router.set(zmq.SNDHWM, 10_000)
        monitor = router.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED)
        path.unlink(missing_ok=True)
        router.bind(f"ipc://{path}")
        path.chmod(0o600)
        self._runtimes.serve_at(f"ipc://{path}")
        await self._wake()
        announcement = Announcement(
            pid=os.getpid(), socket=f"ipc://{path}", protocol=messages.PROTOCOL, detached=self._detached
        )
        self._home.announce(announcement)
        on_ready(announcement)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        serving = [
            asyncio.create_task(work)
            for work in (self._serve(router), self._watch_connections(monitor), self._tick())
        ]
        stopping = asyncio.create_task(self._stop.wait())
        try:
            done, _ = await asyncio.wait([stopping, *serving], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                task.result()
        finally:
            await self._close(serving)
            # In this order: an event for a monitor that nobody holds any more would wait for ever.
            router.disable_monitor()
            monitor.close()
            router.close()
            context.destroy()
            path.unlink(missing_ok=True)
            self._store.close()
            self._lock.release()
            log.info("stopped")

    async def _wake(self) -> None:
        """Take stock, load the jobs, and keep for the first listener what there is to tell about it."""
        if self._damage:
            self._warn(self._damage)
        if self._library.starter.problem:
            self._warn(self._library.starter.problem)
        for complaint in await self._library.take_stock():
            self._warn(complaint)
        self._jobs.restore(rebuilt=bool(self._damage))

    async def _close(self, serving: list[asyncio.Task[None]]) -> None:
        self._home.withdraw()
        await self._jobs.close()
        for task in [*self._answers.values()]:
            task.cancel()
        await asyncio.sleep(0)
        await self._runtimes.stop_all()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        self._jobs.flush()
        self._save_events()
        self._router = None

    # --- coming in ---

    async def _serve(self, router: zmq.asyncio.Socket) -> None:
        while True:
            frames = await router.recv_multipart(copy=False)
            if len(frames) != 2 or not _same_user(frames[1]):
                log.warning("dropped a message of %d frames", len(frames))
                continue
            self._receive(frames[0].bytes, frames[1].bytes)

    def _receive(self, identity: bytes, frame: bytes) -> None:
        try:
            message = messages.decode_upward(frame)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            self._send(identity, Failure(id=_call_id(frame), error=_malformed(error)))
            return
        runtime = self._runtimes.of(identity)
        match message:
            case Call(id=call, body=body):
                self._called(identity, call, body)
            case Cancel(id=call):
                if task := self._answers.get((identity, call)):
                    task.cancel()
            case Subscribe(since=since):
                self._subscribe(identity, since)
            case messages.RuntimeReady():
                try:
                    self._runtimes.welcome(identity, message)
                except StudioError as error:
                    log.warning("%s", error)
            case messages.JobStep() | messages.JobCheckpoint() | messages.JobEnded() if runtime:
                self._jobs.report(runtime, message)
            case Progress() | Result() | Failure() | messages.Heartbeat() if runtime:
                self._runtimes.receive(runtime, message)
            case _:
                log.warning("%s from a stranger", type(message).__name__)

    def _called(self, identity: bytes, call: str, body: Any) -> None:
        if (identity, call) in self._answers:
            error = messages.Error(code="protocol", message=f"A call with the id {call} is still open.")
            self._send(identity, Failure(id=call, error=error))
            return
        task = asyncio.create_task(self._answer(identity, call, body))
        self._answers[identity, call] = task
        task.add_done_callback(lambda task: self._answered(identity, call, task))

    def _answered(self, identity: bytes, call: str, task: asyncio.Task[None]) -> None:
        self._answers.pop((identity, call), None)
        if task.cancelled():  # before it had begun, so that its own handler never ran
            self._send(identity, Failure(id=call, error=_CANCELLED))

    async def _answer(self, identity: bytes, call: str, body: Any) -> None:
        """One call, one Result or Failure, whatever happens."""
        reply: Downward
        try:
            reply = Result(id=call, body=await self._do(body, lambda it: self._progress(identity, call, it)))
        except asyncio.CancelledError:
            reply = Failure(id=call, error=_CANCELLED)
        except StudioError as error:
            reply = Failure(id=call, error=error.as_message())
        except OSError as error:
            reply = Failure(id=call, error=explain_os_error(error, "doing this").as_message())
        except Exception as error:  # a fault of ours must not leave a caller waiting for ever
            log.exception("a fault while answering %s", type(body).__name__)
            sentence = "The engine met a fault of its own."
            detail = f"{type(error).__name__}: {error}"
            hint = "Please report it with the details."
            reply = Failure(
                id=call, error=messages.Error(code="failed", message=sentence, hint=hint, detail=detail)
            )
        self._send(identity, reply)

    def _progress(self, identity: bytes, call: str, body: Body) -> None:
        heard = self._send(identity, Progress(id=call, body=body))
        if not heard and (task := self._answers.get((identity, call))):
            task.cancel()  # whoever asked is gone; nobody needs the rest

    # --- doing ---

    async def _do(self, body: Any, say: Callable[[Body], None]) -> Body:
        match body:
            case messages.Generate() | messages.Route() | messages.Score():
                return await self._live(body, say)
            case messages.WarmUp(base=base):
                await self._runtimes.ready(
                    self._library.base(base), lambda text: say(messages.Said(text=text))
                )
                return messages.Done()
            case messages.Status():
                return self._status()
            case messages.Shutdown():
                asyncio.get_running_loop().call_later(0.05, self._stop.set)
                return messages.Done()
            case messages.RunDoctor():
                return messages.Doctor(checks=await examine(self._home))
        return await self._do_job(body) or await self._do_library(body)

    async def _do_job(self, body: Any) -> Body | None:
        jobs = self._jobs
        match body:
            case messages.SubmitJob():
                return await jobs.submit(body)
            case messages.ListJobs():
                return messages.Jobs(jobs=jobs.all())
            case messages.ShowJob(id=job):
                return jobs.show(job)
            case messages.ReadLog(id=job):
                return messages.Log(lines=jobs.log(job))
            case messages.ReadMetrics(id=job, since=since):
                return jobs.metrics(job, since)
            case messages.PauseJob(id=job):
                return await jobs.pause(job)
            case messages.ResumeJob(id=job):
                return await jobs.resume(job)
            case messages.CancelJob(id=job, keep=keep):
                return await jobs.cancel(job, keep)
            case messages.RemoveJob(id=job):
                await jobs.remove(job)
                return messages.Done()
        return None

    async def _do_library(self, body: Any) -> Body:
        library = self._library
        match body:
            case messages.ListAdapters():
                return messages.Adapters(adapters=library.adapters())
            case messages.InspectAdapter(path=path):
                return await asyncio.to_thread(inspect_folder, Path(path).expanduser().absolute())
            case messages.ImportAdapter(path=path, name=name):
                return await library.import_adapter(path, name)
            case messages.VerifyAdapters(name=name):
                return messages.Verified(adapters=await library.verify(name))
            case messages.RemoveAdapter(name=name):
                return messages.Done(path=await library.remove_adapter(name))
            case messages.RestoreAdapter(name=name):
                return await library.restore_adapter(name)
            case messages.ExportAdapter(name=name, folder=folder, rank=rank):
                return messages.Done(path=await library.export_adapter(name, folder, rank))
            case messages.ListBases():
                return messages.Bases(bases=library.bases())
            case messages.AddBase(path=path, name=name):
                return await library.add_base(path, name)
            case messages.ListMixes():
                return messages.Mixes(mixes=library.mixes())
            case messages.RemoveMix(name=name):
                return messages.Done(path=await library.remove_mix(name))
            case messages.ListData():
                return messages.DataSets(sets=await asyncio.to_thread(library.starter.data_sets))
            case messages.CheckData(path=path):
                return await asyncio.to_thread(describe, library.data(path))
        raise StudioError("protocol", f"A client may not ask for {type(body).__name__}.")

    async def _live(
        self, request: messages.Generate | messages.Route | messages.Score, say: Callable[[Body], None]
    ) -> Body:
        """Resolve the names in a live request, then hand it to the runtime of its base."""
        mix = self._library.mix(request.mixing.name) if request.mixing else None
        paths = {f"mix:{mix.name}": mix.path} if mix else {}
        base_name = mix.base if isinstance(request, messages.Route) and mix else getattr(request, "base", "")
        if mix and mix.base != base_name:
            raise StudioError(
                "usage",
                f"The mix {mix.name} was trained on {mix.base}, not on {base_name}.",
                "Choose its own base.",
            )
        for part in request.parts:
            if mix and part.name not in mix.experts:
                raise StudioError(
                    "usage", f"{part.name} is no expert of {mix.name}.", f"It has {', '.join(mix.experts)}."
                )
            if not mix:
                paths[f"adapter:{part.name}"] = self._library.adapter(part.name).path
        if isinstance(request, messages.Score):
            paths["data"] = str(self._library.data(request.data))
        runtime = await self._runtimes.ready(
            self._library.base(base_name), lambda text: say(messages.Said(text=text))
        )
        return await self._runtimes.ask(runtime, messages.Work(request=request, paths=paths), say)

    def _status(self) -> messages.EngineStatus:
        return messages.EngineStatus(
            running=True,
            pid=os.getpid(),
            protocol=messages.PROTOCOL,
            version=version("adapter-studio"),
            home=str(self._home.root),
            detached=self._detached,
            runtimes=self._runtimes.cards(),
        )

    # --- going out ---

    def _send(self, identity: bytes, message: Downward) -> bool:
        """Hand a message to the socket. False when the receiver is gone, or its queue is full."""
        if self._router is None:
            return False
        frames = [identity, messages.encode(message)]
        sent = asyncio.ensure_future(self._router.send_multipart(frames, flags=zmq.DONTWAIT))
        # Without waiting the future is settled on return; its error must be looked at here.
        error = sent.exception() if sent.done() else None
        if error is None:
            return True
        if isinstance(error, zmq.ZMQError) and error.errno == zmq.EHOSTUNREACH:
            self._told.pop(identity, None)
        elif not isinstance(error, zmq.Again):
            raise error
        return False

    def _subscribe(self, identity: bytes, since: int) -> None:
        # The first to listen hears what was found at the start, although nobody was there then.
        if since < 0:
            since = self._boot if self._unheard else self._last
        self._unheard = False
        since = min(since, self._last)
        self._told[identity] = since
        self._send(
            identity,
            Welcome(
                protocol=messages.PROTOCOL,
                pid=os.getpid(),
                version=version("adapter-studio"),
                run=self._run_id,
                last=since,
            ),
        )
        self._tell(identity)

    def announce(self, body: EventBody) -> None:
        """Tell every subscriber, now or when it can listen again; durable as soon as the disk allows."""
        self._last += 1
        event = Event(number=self._last, body=body)
        self._events.append(event)
        self._unsaved.append(event)
        self._save_events()
        for identity in list(self._told):
            self._tell(identity)

    def _save_events(self) -> None:
        try:
            self._store.add_events(self._unsaved)
        except StudioError as error:
            log.error("events not recorded yet: %s", error)
        else:
            self._unsaved = []

    def _tell(self, identity: bytes) -> None:
        """Send a subscriber the events it has not had, in order, until its queue is full."""
        told = self._told[identity]
        if told >= self._last:
            return
        fresh = bool(self._events) and self._events[0].number <= told + 1
        events = list(self._events) if fresh else self._store.events(told) + self._unsaved
        for event in events:
            if event.number > told:
                if not self._send(identity, event):
                    return
                self._told[identity] = told = event.number

    def show(self, body: GaugeBody) -> None:
        """A gauge for everyone who can take it now."""
        for identity in list(self._told):
            self._send(identity, Gauge(body=body))

    def _warn(self, sentence: str) -> None:
        log.warning("%s", sentence)
        self.announce(messages.Notice(level="warning", message=sentence))

    def _library_changed(self, what: Any) -> None:
        self.announce(messages.LibraryChanged(what=what))

    def _runtimes_changed(self) -> None:
        self.announce(messages.EngineChanged(runtimes=self._runtimes.cards()))

    def _runtime_died(self, runtime: Runtime) -> None:
        self._jobs.runtime_died(runtime)

    # --- time passing ---

    async def _tick(self) -> None:
        """Gauges and commits five times a second; memory, hung runtimes and lonely engines once a second."""
        next_second = next_backup = 0.0
        while True:
            await asyncio.sleep(GAUGES)
            now = time.monotonic()
            self._jobs.flush()
            self._jobs.show_progress()
            if self._unsaved:
                self._save_events()
            for identity in list(self._told):
                self._tell(identity)
            if now >= next_second:
                next_second = now + 1.0
                self._each_second(now)
            if now >= next_backup:
                next_backup = now + BACKUP
                try:
                    self._store.back_up(self._home.backup)
                except StudioError as error:
                    self._warn(error.message)

    def _each_second(self, now: float) -> None:
        self._runtimes.look_after()
        cards = self._runtimes.cards()
        own = psutil.Process().memory_info().rss
        self.show(
            messages.Load(
                memory=own + sum(card.memory for card in cards),
                memory_total=psutil.virtual_memory().total,
                runtimes=cards,
            )
        )
        attended = self._parent is not None and process_lives(self._parent)
        if attended or len(self._connections) > self._runtimes.connected():
            self._last_client = now
        elif not self._detached and now - self._last_client > LINGER:
            log.info("the last client is gone")
            self._stop.set()

    async def _watch_connections(self, monitor: zmq.asyncio.Socket) -> None:
        """Count who is connected, so that an engine that nobody detached ends with its last client."""
        while True:
            seen = await recv_monitor_message(monitor)
            if seen["event"] == zmq.EVENT_ACCEPTED:
                self._connections.add(seen["value"])
                self._last_client = time.monotonic()
            else:
                self._connections.discard(seen["value"])


def _same_user(frame: zmq.Frame) -> bool:
    """On Linux the kernel vouches for who is at the other end: "host:uid:gid:pid"."""
    try:
        peer = str(frame.get("Peer-Address"))
    except zmq.ZMQError:
        return True
    parts = peer.split(":")
    return len(parts) < 4 or not parts[-3].isdigit() or int(parts[-3]) == os.getuid()


def _call_id(frame: bytes) -> str:
    """The id of a call whose body makes no sense, so that even that is answered to whom it concerns."""
    with contextlib.suppress(msgspec.DecodeError, RecursionError):
        raw = msgspec.msgpack.decode(frame)
        if isinstance(raw, dict) and isinstance(raw.get("id"), str):
            return str(raw["id"])
    return ""


def _malformed(error: Exception) -> messages.Error:
    return messages.Error(
        code="protocol",
        message="The engine did not understand this request.",
        hint="Window, command line and engine must be of the same version.",
        detail=str(error),
    )

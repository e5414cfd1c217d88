"""One engine on one home: puts its rooms together, keeps time, and ends when nobody needs it any more."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
import uuid
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import psutil

from engine import messages
from engine.formats.errors import StudioError
from engine.hub.address import configured_hub
from engine.hub.client import Hub
from engine.hub.token import Tokens
from engine.messages import Upward
from engine.supervisor.door import Door
from engine.supervisor.home import Announcement, Home, process_lives
from engine.supervisor.hub import HubDesk
from engine.supervisor.jobs import Jobs
from engine.supervisor.judging import Judging
from engine.supervisor.librarian import Librarian
from engine.supervisor.library import Library
from engine.supervisor.listeners import Listeners
from engine.supervisor.live import Live
from engine.supervisor.ranks import Ranks
from engine.supervisor.requests import HUB, JUDGING, LIBRARY, RANKS, SPEECH, Desk, Requests
from engine.supervisor.rescue import open_store
from engine.supervisor.runtimes import RUNTIME, Runtimes
from engine.supervisor.speech import SpeechDesk
from engine.supervisor.starter import STARTER, Starter

__all__ = ["Engine"]

log = logging.getLogger(__name__)

GAUGES = 0.2
"""Seconds between two rounds of gauges, and between two commits of curves."""

LINGER = 3.0
"""Seconds that an engine nobody detached outlives its last client and the last of its jobs."""

FIRST_CLIENT = 60.0
"""Seconds that such an engine waits for its first client."""

BACKUP = 3600.0

LOOK = 10.0
"""Seconds between two looks at the Hugging Face cache."""


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
        self._stop = asyncio.Event()
        self._needed = time.monotonic() + FIRST_CLIENT
        self._store, self._damage = open_store(home.database, home.backup)
        self._door = Door(
            perform=lambda body, say: self._requests.perform(body, say),
            other=self._hear,
            arrived=self._attend,
            gone=lambda identity: self._listeners.forget(identity),
        )
        self._listeners = Listeners(self._store, self._door.send, uuid.uuid4().hex)
        self._library = Library(
            home,
            self._store,
            Starter(starter),
            lambda what: self._listeners.announce(messages.LibraryChanged(what=what)),
        )
        self._runtimes = Runtimes(
            home,
            send=self._door.send,
            changed=self._runtimes_changed,
            died=lambda runtime: self._jobs.runtime_died(runtime),
            threads=threads,
            command=runtime_command,
        )
        announce, show, tokens = self._listeners.announce, self._listeners.show, Tokens(home.root)
        judging = Judging(self._library, self._store, tokens.read)
        self._jobs = Jobs(
            home, self._store, self._library, self._runtimes, announce, show, tokens.read, judging.fit
        )
        live = Live(home, self._library, self._jobs, self._runtimes)
        hub = Hub(tokens.read)
        librarian = Librarian(self._library, self._jobs, self._runtimes, hub)
        desk = HubDesk(self._library, hub, tokens, judging, librarian)
        ranks = Ranks(home, self._library, self._jobs, live)
        desks: dict[tuple[type, ...], Desk] = {
            LIBRARY: librarian,
            JUDGING: judging,
            HUB: desk,
            RANKS: ranks,
            SPEECH: SpeechDesk(home, self._library, self._jobs, self._runtimes),
        }
        self._requests = Requests(home, self._jobs, live, desks, self._status, self._stop_soon)

    async def run(self, on_ready: Callable[[Announcement], None]) -> None:
        """Serve. ``on_ready`` is called once clients may connect."""
        endpoint = self._door.open(self._home.socket_path())
        self._runtimes.serve_at(endpoint)
        await self._wake()
        announcement = Announcement(
            pid=os.getpid(), socket=endpoint, protocol=messages.PROTOCOL, detached=self._detached
        )
        self._home.announce(announcement)
        on_ready(announcement)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        work = (self._door.serve(), self._door.watch(), self._tick(), self._watch_cache())
        serving = [asyncio.create_task(each) for each in work]
        stopping = asyncio.create_task(self._stop.wait())
        try:
            done, _ = await asyncio.wait([stopping, *serving], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                task.result()
        finally:
            await self._close(serving)
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
        await self._door.give_up()
        await self._runtimes.stop_all()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        self._jobs.flush()
        self._listeners.save()
        self._door.close()
        self._store.close()
        self._lock.release()

    # --- what comes in besides calls ---

    def _hear(self, identity: bytes, message: Upward) -> None:
        runtime = self._runtimes.of(identity)
        match message:
            case messages.Subscribe(since=since):
                self._listeners.add(identity, since)
            case messages.RuntimeReady():
                try:
                    self._runtimes.welcome(identity, message)
                except StudioError as error:
                    log.warning("%s", error)
            case messages.JobStep() | messages.JobCheckpoint() | messages.JobEnded() if runtime:
                self._jobs.report(runtime, message)
            case messages.Progress() | messages.Result() | messages.Failure() | messages.Heartbeat() if (
                runtime
            ):
                self._runtimes.receive(runtime, message)
            case _:
                log.warning("%s from a stranger", type(message).__name__)

    def _attend(self) -> None:
        self._needed = time.monotonic()

    def _status(self) -> messages.EngineStatus:
        return messages.EngineStatus(
            running=True,
            pid=os.getpid(),
            protocol=messages.PROTOCOL,
            version=version("adapter-studio"),
            home=str(self._home.root),
            detached=self._detached,
            runtimes=self._runtimes.cards(),
            hub=configured_hub(),
        )

    def _stop_soon(self) -> None:
        asyncio.get_running_loop().call_later(0.05, self._stop.set)  # once this has been answered

    def _warn(self, sentence: str) -> None:
        log.warning("%s", sentence)
        self._listeners.announce(messages.Notice(level="warning", message=sentence))

    def _runtimes_changed(self) -> None:
        self._listeners.announce(messages.EngineChanged(runtimes=self._runtimes.cards()))

    # --- time passing ---

    async def _tick(self) -> None:
        """Gauges and commits five times a second; memory, hung runtimes and lonely engines once a second."""
        next_second = next_backup = 0.0
        while True:
            await asyncio.sleep(GAUGES)
            now = time.monotonic()
            self._jobs.flush()
            self._jobs.show_progress()
            self._listeners.catch_up()
            if now >= next_second:
                next_second = now + 1.0
                self._each_second(now)
            if now >= next_backup:
                next_backup = now + BACKUP
                try:
                    self._store.back_up(self._home.backup)
                except StudioError as error:
                    self._warn(error.message)

    async def _watch_cache(self) -> None:
        """Other programs fetch from the Hub too."""
        while True:
            await asyncio.sleep(LOOK)
            await self._library.watch_cache()

    def _each_second(self, now: float) -> None:
        self._runtimes.look_after()
        cards = self._runtimes.cards()
        own = psutil.Process().memory_info().rss
        self._listeners.show(
            messages.Load(
                memory=own + self._runtimes.memory(),
                memory_total=psutil.virtual_memory().total,
                runtimes=cards,
            )
        )
        attended = self._parent is not None and process_lives(self._parent)
        if attended or self._door.connected > self._runtimes.connected() or self._jobs.active():
            self._needed = now
        elif not self._detached and now - self._needed > LINGER:
            log.info("neither clients nor jobs are left")
            self._stop.set()

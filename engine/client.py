"""A small blocking client of the engine: find it or start it, ask, listen, give up."""

from __future__ import annotations

import contextlib
import select
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Any

import msgspec
import zmq

from engine.formats.errors import StudioError
from engine.messages import (
    PROTOCOL,
    Body,
    Call,
    Cancel,
    Error,
    Event,
    EventBody,
    Failure,
    Gauge,
    GaugeBody,
    Progress,
    Request,
    Result,
    Subscribe,
    Welcome,
    decode_downward,
    encode,
)
from engine.supervisor.home import Announcement, Home, process_lives

__all__ = ["Client", "find_engine", "start_engine", "wait_for_end"]

START_SECONDS = 60.0
WELCOME_SECONDS = 10.0
CANCEL_SECONDS = 10.0

# Popen complains when it is forgotten while its process runs on, as an engine shall.
_started: list[subprocess.Popen[bytes]] = []


def find_engine(home: Home) -> Announcement | None:
    """The engine that runs on this home, or None."""
    return home.read_announcement()


def start_engine(home: Home, *, detach: bool = False, parent: int | None = None) -> Announcement:
    """The engine of this home, started unless it runs already. StudioError when it cannot start.

    It ends soon after its last client, unless it is detached, or as long as the process ``parent`` lives.
    """
    if running := find_engine(home):
        return running
    command = [sys.executable, "-P", "-m", "engine.supervisor", "--home", str(home.root)]
    command += ["--detach"] if detach else []
    command += ["--parent", str(parent)] if parent else []
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    _reap()
    _started.append(process)
    assert process.stdout is not None
    with process.stdout:
        ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
        line = process.stdout.readline() if ready else b""
    return _read_greeting(home, line)


def _reap() -> None:
    """Let go of the engines that have ended."""
    _started[:] = [process for process in _started if process.poll() is None]


def _read_greeting(home: Home, line: bytes) -> Announcement:
    try:
        greeting = msgspec.json.decode(line, type=dict[str, Any])
        if "error" not in greeting:
            return msgspec.convert(greeting, Announcement)
        error = msgspec.convert(greeting["error"], Error)
    except msgspec.DecodeError as unread:
        log = home.logs / "engine.log"
        words = log.read_text(errors="replace")[-2000:] if log.exists() else ""
        raise StudioError(
            "crashed", "The engine could not start.", f"Look into {log}, then try again.", words
        ) from unread
    # Somebody else was a moment faster, and theirs is as good.
    if error.code == "busy" and (running := _wait_for_engine(home)):
        return running
    raise StudioError(error.code, error.message, error.hint, error.detail)


def _wait_for_engine(home: Home) -> Announcement | None:
    until = time.monotonic() + WELCOME_SECONDS
    while time.monotonic() < until:
        if running := find_engine(home):
            return running
        time.sleep(0.02)
    return None


class Client:
    """One connection to an engine. Use it in a ``with`` block.

    ``on_event`` and ``on_gauge`` are called while a call waits, or by ``listen``.
    """

    def __init__(
        self,
        announcement: Announcement,
        *,
        on_event: Callable[[EventBody], None] = lambda body: None,
        on_gauge: Callable[[GaugeBody], None] = lambda body: None,
    ) -> None:
        self.pid = announcement.pid
        self._on_event = on_event
        self._on_gauge = on_gauge
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.set(zmq.LINGER, 200)
        self._socket.connect(announcement.socket)
        try:
            self._greet()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()
        self._context.term()

    def _greet(self) -> None:
        self._socket.send(encode(Subscribe()))
        until = time.monotonic() + WELCOME_SECONDS
        while time.monotonic() < until:
            if self._socket.poll(100):
                message = decode_downward(self._socket.recv())
                if isinstance(message, Welcome):
                    if message.protocol != PROTOCOL:
                        raise StudioError(
                            "protocol",
                            f"The engine speaks protocol {message.protocol}, this program {PROTOCOL}.",
                            "Stop it with `adapter-studio engine stop`, then try again.",
                        )
                    return
            elif not process_lives(self.pid):
                break
        raise StudioError(
            "crashed", "The engine does not answer.", "Stop it with `adapter-studio engine stop`."
        )

    def call(self, request: Request, on_progress: Callable[[Body], None] = lambda body: None) -> Any:
        """Ask and wait for the answer. A Failure is raised as StudioError.

        KeyboardInterrupt cancels the call and becomes StudioError("cancelled"); an engine that dies is
        StudioError("crashed").
        """
        key = uuid.uuid4().hex
        try:
            self._socket.send(encode(Call(id=key, body=request)))
        except OverflowError as error:
            raise StudioError(
                "usage", "A number is too large for any use.", "Give a smaller one.", str(error)
            ) from error
        try:
            return self._wait(key, on_progress, until=None)
        except KeyboardInterrupt:
            self._socket.send(encode(Cancel(id=key)))
            with contextlib.suppress(StudioError):
                self._wait(key, on_progress, until=time.monotonic() + CANCEL_SECONDS)
            raise StudioError("cancelled", "Cancelled.", "Run it again when you like.") from None

    def listen(self, seconds: float) -> None:
        """Deliver events and gauges for this long. StudioError("crashed") when the engine is gone."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._receive(min(left, 0.2))

    def _wait(self, key: str, on_progress: Callable[[Body], None], until: float | None) -> Any:
        while until is None or time.monotonic() < until:
            match self._receive(0.2):
                case Progress(id=call, body=body) if call == key:
                    on_progress(body)
                case Result(id=call, body=body) if call == key:
                    return body
                case Failure(id=call, error=error) if call == key:
                    raise StudioError(error.code, error.message, error.hint, error.detail)
        raise StudioError("cancelled", "Cancelled.")

    def _receive(self, seconds: float) -> Progress | Result | Failure | None:
        """One message, or None after ``seconds``; events and gauges go to their listeners."""
        if not self._socket.poll(round(seconds * 1000)):
            if not process_lives(self.pid):
                raise StudioError(
                    "crashed", "The engine has stopped.", "Try again: it starts anew and loses nothing."
                )
            return None
        match decode_downward(self._socket.recv()):
            case Event(body=body):
                self._on_event(body)
            case Gauge(body=gauge):
                self._on_gauge(gauge)
            case Progress() | Result() | Failure() as answer:
                return answer
        return None


def wait_for_end(pid: int, seconds: float) -> bool:
    """Whether the process ended within this time."""
    until = time.monotonic() + seconds
    while process_lives(pid):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    _reap()
    return True

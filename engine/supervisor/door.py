"""The engine's one door: a private socket that decodes strictly and answers every call exactly once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import zmq
import zmq.asyncio
from zmq.utils.monitor import recv_monitor_message

from engine.formats.errors import StudioError
from engine.formats.files import explain_os_error
from engine.messages import (
    LARGEST_MESSAGE,
    Body,
    Call,
    Cancel,
    Downward,
    Error,
    Failure,
    Progress,
    Result,
    Upward,
    decode_upward,
    encode,
)

__all__ = ["Door"]

log = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds for the calls that are cancelled when the engine ends."""

_CANCELLED = Error(code="cancelled", message="Cancelled.", hint="Ask again when you like.")


class Door:
    """Whoever connects may call. ``perform(body, say)`` answers a call, ``other(identity, message)``
    gets what is no call; ``arrived()`` tells of each connection, ``gone(identity)`` that one was lost.
    """

    def __init__(
        self,
        perform: Callable[[Any, Callable[[Body], None]], Awaitable[Body]],
        other: Callable[[bytes, Upward], None],
        arrived: Callable[[], None],
        gone: Callable[[bytes], None],
    ) -> None:
        self._perform = perform
        self._other = other
        self._arrived = arrived
        self._gone = gone
        self._answers: dict[tuple[bytes, str], asyncio.Task[None]] = {}
        self._connections: set[int] = set()
        self._context: zmq.asyncio.Context | None = None
        self._router: zmq.asyncio.Socket | None = None
        self._monitor: zmq.asyncio.Socket | None = None
        self._path = Path()

    @property
    def connected(self) -> int:
        """How many clients and runtimes are connected."""
        return len(self._connections)

    def open(self, path: Path) -> str:
        """Bind a socket at ``path`` for this user alone; returns its endpoint."""
        self._path = path
        self._context = zmq.asyncio.Context()
        router = self._router = self._context.socket(zmq.ROUTER)
        router.set(zmq.ROUTER_MANDATORY, 1)
        router.set(zmq.MAXMSGSIZE, LARGEST_MESSAGE)
        router.set(zmq.LINGER, 500)
        router.set(zmq.SNDHWM, 10_000)
        self._monitor = router.get_monitor_socket(
            zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED
        )
        path.unlink(missing_ok=True)
        router.bind(f"ipc://{path}")
        path.chmod(0o600)
        return f"ipc://{path}"

    async def serve(self) -> None:
        """Take what comes in, until cancelled."""
        assert self._router is not None
        while True:
            frames = await self._router.recv_multipart(copy=False)
            if len(frames) != 2 or not _same_user(frames[1]):
                log.warning("dropped a message of %d frames", len(frames))
                continue
            self._receive(frames[0].bytes, frames[1].bytes)

    async def watch(self) -> None:
        """Keep count of who is connected, until cancelled."""
        assert self._monitor is not None
        while True:
            seen = await recv_monitor_message(self._monitor)
            if seen["event"] == zmq.EVENT_ACCEPTED:
                self._connections.add(seen["value"])
                self._arrived()
            else:
                self._connections.discard(seen["value"])

    async def give_up(self) -> None:
        """Cancel every call that is still open, and wait until each has cleared up and is answered so.

        Cancelling whatever is left, as the end of a loop does, could catch a process just starting, which
        asyncio would then wait for without end.
        """
        if answers := [*self._answers.values()]:
            for task in answers:
                task.cancel()
            await asyncio.wait(answers, timeout=PATIENCE)

    def close(self) -> None:
        """Unbind. Nothing more is sent."""
        router, self._router = self._router, None
        assert router is not None and self._monitor is not None and self._context is not None
        # In this order: an event for a monitor that nobody holds any more would wait for ever.
        router.disable_monitor()
        self._monitor.close()
        router.close()
        self._context.destroy()
        self._path.unlink(missing_ok=True)

    def send(self, identity: bytes, message: Downward) -> bool:
        """Hand a message to the socket. False when the receiver is gone, or its queue is full."""
        if self._router is None:
            return False
        sent = asyncio.ensure_future(
            self._router.send_multipart([identity, encode(message)], flags=zmq.DONTWAIT)
        )
        # Without waiting the future is settled on return; its error must be looked at here.
        error = sent.exception() if sent.done() else None
        if error is None:
            return True
        if isinstance(error, zmq.ZMQError) and error.errno == zmq.EHOSTUNREACH:
            self._gone(identity)
        elif not isinstance(error, zmq.Again):
            raise error
        return False

    # --- calls ---

    def _receive(self, identity: bytes, frame: bytes) -> None:
        try:
            message = decode_upward(frame)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            self.send(identity, Failure(id=_call_id(frame), error=_malformed(error)))
            return
        match message:
            case Call(id=call, body=body):
                self._called(identity, call, body)
            case Cancel(id=call):
                if task := self._answers.get((identity, call)):
                    task.cancel()
            case _:
                self._other(identity, message)

    def _called(self, identity: bytes, call: str, body: Any) -> None:
        if (identity, call) in self._answers:
            error = Error(code="protocol", message=f"A call with the id {call} is still open.")
            self.send(identity, Failure(id=call, error=error))
            return
        task = asyncio.create_task(self._answer(identity, call, body))
        self._answers[identity, call] = task
        task.add_done_callback(lambda task: self._answered(identity, call, task))

    def _answered(self, identity: bytes, call: str, task: asyncio.Task[None]) -> None:
        self._answers.pop((identity, call), None)
        if task.cancelled():  # before it had begun, so that its own handler never ran
            self.send(identity, Failure(id=call, error=_CANCELLED))

    async def _answer(self, identity: bytes, call: str, body: Any) -> None:
        """One call, one Result or Failure, whatever happens."""
        reply: Downward
        try:
            reply = Result(id=call, body=await self._perform(body, lambda it: self._say(identity, call, it)))
        except asyncio.CancelledError:
            reply = Failure(id=call, error=_CANCELLED)
        except StudioError as error:
            reply = Failure(id=call, error=error.as_message())
        except OSError as error:
            reply = Failure(id=call, error=explain_os_error(error, "doing this").as_message())
        except Exception as error:  # a fault of ours must not leave a caller waiting for ever
            log.exception("a fault while answering %s", type(body).__name__)
            fault = Error(
                code="failed",
                message="The engine met a fault of its own.",
                hint="Please report it with the details.",
                detail=f"{type(error).__name__}: {error}",
            )
            reply = Failure(id=call, error=fault)
        self.send(identity, reply)

    def _say(self, identity: bytes, call: str, body: Body) -> None:
        heard = self.send(identity, Progress(id=call, body=body))
        if not heard and (task := self._answers.get((identity, call))):
            task.cancel()  # whoever asked is gone; nobody needs the rest


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


def _malformed(error: Exception) -> Error:
    return Error(
        code="protocol",
        message="The engine did not understand this request.",
        hint="Window, command line and engine must be of the same version.",
        detail=str(error),
    )

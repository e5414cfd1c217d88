"""A worker's end of the wire: a thread of its own, so that a long step is not taken for death."""

from __future__ import annotations

import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator

import msgspec
import psutil
import zmq

from engine.messages import (
    LARGEST_MESSAGE,
    Call,
    Cancel,
    Downward,
    Error,
    Failure,
    Heartbeat,
    Progress,
    Result,
    RuntimeReady,
    Upward,
    decode_downward,
    encode,
)

__all__ = ["Wire", "die_with_parent"]

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 1.0


class Wire:
    """Messages to and from the supervisor. Any thread may send; one takes what comes in.

    ``busy`` is what the heartbeat says is being done. The process ends when the one that started it has
    gone: nobody is left to answer to.
    """

    def __init__(self, endpoint: str, token: str) -> None:
        self.busy = ""
        self._token = token
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 1000
        self._socket.connect(endpoint)
        # Outgoing messages wait in a queue; the inner sockets only wake the thread that may send them.
        self._outgoing: queue.SimpleQueue[Upward] = queue.SimpleQueue()
        self._incoming: queue.SimpleQueue[Call | Cancel] = queue.SimpleQueue()
        self._wake = self._context.socket(zmq.PUSH)
        self._woken = self._context.socket(zmq.PULL)
        self._woken.bind("inproc://wake")
        self._wake.connect("inproc://wake")
        self._waking = threading.Lock()
        self._closing = threading.Event()
        self._parent = os.getppid()
        self._thread = threading.Thread(target=self._serve, name="wire", daemon=True)
        self._thread.start()

    def send(self, message: Upward) -> None:
        """Hand a message to the wire; it leaves at once, whatever the caller does next."""
        self._outgoing.put(message)
        with self._waking:  # a socket of zmq is for one thread at a time
            self._wake.send(b"")

    def received(self, wait: bool) -> Iterator[Call | Cancel]:
        """What has come in; with ``wait`` there is at least one."""
        if wait:
            yield self._incoming.get()
        while not self._incoming.empty():
            yield self._incoming.get()

    def close(self) -> None:
        """Send what is waiting, then stop."""
        self._closing.set()
        self._wake.send(b"")
        self._thread.join()
        self._wake.close()
        self._context.term()

    def _serve(self) -> None:
        process = psutil.Process()
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._woken, zmq.POLLIN)
        due = time.monotonic()
        introduced = False  # until then the supervisor does not know whose heart it is
        while True:
            ready = dict(poller.poll(max(0, round((due - time.monotonic()) * 1000))))
            if self._woken in ready:
                self._woken.recv()
            while not self._outgoing.empty():
                message = self._outgoing.get()
                self._socket.send(_frame(message))
                introduced = introduced or isinstance(message, RuntimeReady)
            if self._closing.is_set():
                break
            if self._socket in ready:
                self._take(self._socket.recv())
            if time.monotonic() >= due:
                due = time.monotonic() + HEARTBEAT_SECONDS
                if os.getppid() != self._parent:
                    log.warning("the engine has gone; nothing is left to do here")
                    os._exit(0)
                if introduced:
                    beat = Heartbeat(token=self._token, memory=process.memory_info().rss, busy=self.busy)
                    self._socket.send(encode(beat))
        self._woken.close()
        self._socket.close()

    def _take(self, frame: bytes) -> None:
        try:
            message: Downward = decode_downward(frame)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.error("a message could not be read: %s", error)
            return
        if isinstance(message, Call | Cancel):
            self._incoming.put(message)
        else:
            log.error("a %s is nothing for a worker", type(message).__name__)


def die_with_parent(parent: int) -> None:
    """On Linux the system ends this process with its parent; elsewhere the wire notices in a second."""
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    # It may have died before this process could look.
    if os.getppid() != parent:
        sys.exit("The engine that started this process has gone.")


def _frame(message: Upward) -> bytes:
    """The message as it is sent: instead of an answer larger than the supervisor takes, a failure."""
    frame = encode(message)
    if len(frame) <= LARGEST_MESSAGE or not isinstance(message, Result | Progress):
        return frame
    error = Error(
        code="usage",
        message=f"The answer has {len(frame) / 2**20:.0f} MiB, more than can be sent at once.",
        hint="Ask with a shorter text, or without recording who speaks.",
    )
    return encode(Failure(id=message.id, error=error))

"""The body of an answer, read by a thread of its own: hashing and writing take no time from the network, and
a word from the person is heard while nothing comes."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import httpx2

from engine.formats.errors import StudioError
from engine.hub.source import Answer, BusyError, ChangedError

__all__ = ["pieces"]

PIECE = 1 << 20
"""Bytes that are handed on at once. A kill loses three times as many at most that had come."""

WINDOW = 4 << 20
"""Bytes that may have come and wait in the system's hands: a kill loses them too."""

TICK = 0.2
"""Seconds after which less than a piece is handed on too."""


def pieces(ask: Callable[[], Answer], check: Callable[[], None]) -> Iterator[Answer | bytes]:
    """The answer that ``ask`` gets, then its body in pieces. Whatever fails there is raised here.

    ``check()`` is called a few times a second, and may raise to end it all.
    """
    reader = _Reader(ask)
    reader.start()
    try:
        while not reader.finished():
            check()
            yield from reader.take()
    finally:
        reader.hang_up()


class _Reader(threading.Thread):
    """Reads ahead, two pieces at most. Everything that both threads touch is touched under ``_turn``."""

    def __init__(self, ask: Callable[[], Answer]) -> None:
        super().__init__(name="reader", daemon=True)
        self._ask = ask
        self._turn = threading.Condition()
        self._answer: Answer | None = None
        self._held: list[bytes] = []
        self._size = 0
        self._socket: socket.socket | None = None
        self._over = self._unwanted = False
        self._trouble: Exception | None = None

    # --- for whoever takes the pieces ---

    def finished(self) -> bool:
        """Whether everything has been taken. Raises the trouble that it ended with."""
        with self._turn:
            done = self._over and not self._held and self._answer is None
        if done and self._trouble is not None:
            raise self._trouble
        return done

    def take(self) -> list[Answer | bytes]:
        """What has come: a piece if it comes in time, what there is if not."""
        with self._turn:
            self._turn.wait_for(lambda: self._answer or self._over or self._size >= PIECE, TICK)
            taken: list[Answer | bytes] = [self._answer] if self._answer else []
            if self._held:
                taken.append(b"".join(self._held))
            self._answer, self._held, self._size = None, [], 0
            self._turn.notify_all()
        return taken

    def hang_up(self) -> None:
        """Free the connection, whatever is being waited for on it."""
        with self._turn:
            self._unwanted = True
            self._turn.notify_all()
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    # The plain socket's, under TLS too: that layer must not be touched from here.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    # --- the thread ---

    def run(self) -> None:
        trouble: Exception | None = httpx2.ReadError("the connection's reader has died")
        try:
            self._read(self._ask())
            trouble = None
        except (StudioError, BusyError, ChangedError, httpx2.HTTPError, httpx2.InvalidURL) as error:
            trouble = error
        except (
            RuntimeError,
            OSError,
        ) as error:  # the former of a client that was closed: nobody waits any more
            trouble = httpx2.ReadError(str(error))
        finally:
            with self._turn:
                self._over, self._trouble = True, trouble
                self._turn.notify_all()

    def _read(self, answer: Answer) -> None:
        stream = answer.response.extensions.get("network_stream")
        try:
            with self._turn:
                self._answer = answer
                self._socket = stream.get_extra_info("socket") if stream is not None else None
            if self._socket is not None and hasattr(socket, "TCP_WINDOW_CLAMP"):  # Linux alone has it
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP, WINDOW)
            for data in answer.response.iter_raw():
                with self._turn:
                    self._turn.wait_for(lambda: self._unwanted or self._size < 2 * PIECE)
                    if self._unwanted:
                        return
                    self._held.append(data)
                    self._size += len(data)
                    if self._size >= PIECE:
                        self._turn.notify_all()
        finally:
            with self._turn:
                self._socket = None
            answer.response.close()

"""Faults that can be switched on, and the sending of a body with one of them in it."""

import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path

__all__ = ["Body", "Fault", "send"]

SLICE = 2**20
# Small, so that what the kernel has taken and no client has read is little, and ``sent`` close to the truth.
SEND_BUFFER = 2**18


@dataclass
class Fault:
    """What goes wrong with requests whose path matches ``glob``; ``times`` of them, -1 is always.

    ``status`` (with ``retry_after`` seconds, an X-Error-Code ``code``) and ``redirect`` come instead of the
    answer. Of a body, offsets are those of the whole file: ``drop_at`` ends the connection before that byte
    (``reset``: without a farewell), ``flip`` changes a byte, ``stall`` waits so many seconds before byte
    ``stall_at``, ``rate`` is bytes per second, ``length`` is the Content-Length that is claimed, ``no_range``
    answers 200 with everything to a Range, ``gzip`` does so too and compresses it, ``etag`` is the tag that
    is claimed.
    """

    glob: str
    method: str = "GET"
    times: int = 1
    status: int | None = None
    retry_after: int | None = None
    code: str | None = None
    redirect: str | None = None
    drop_at: int | None = None
    reset: bool = False
    flip: int | None = None
    stall: float | None = None
    stall_at: int = 0
    rate: float | None = None
    length: int | None = None
    no_range: bool = False
    gzip: bool = False
    etag: str | None = None

    def wanted(self, method: str, path: str) -> bool:
        return self.times != 0 and self.method in ("*", method) and fnmatchcase(path, self.glob)

    @property
    def instead(self) -> bool:
        return self.status is not None or self.redirect is not None

    def touches(self, start: int, end: int, ranged: bool, tagged: bool) -> bool:
        """Whether an answer with bytes ``start`` to ``end`` would feel it; ``tagged``: it has an ETag."""
        if self.instead or (self.etag is not None and not tagged):
            return False
        if self.drop_at is not None and not start <= self.drop_at < end:
            return False
        if self.flip is not None and not start <= self.flip < end:
            return False
        if self.stall is not None and not start <= self.stall_at < end:
            return False
        if self.no_range and not ranged:
            return False
        return end > start or self.etag is not None

    def name(self) -> str:
        fields = (
            "status",
            "redirect",
            "drop_at",
            "flip",
            "stall",
            "rate",
            "length",
            "no_range",
            "gzip",
            "etag",
        )
        return next((each for each in fields if getattr(self, each) is not getattr(Fault, each)), "")


Body = bytes | Path


def send(
    connection: socket.socket,
    body: Body,
    start: int,
    end: int,
    fault: Fault | None,
    said: Callable[[int], None],
) -> bool:
    """Send bytes ``start`` to ``end``; ``said`` hears how many go out. False: the connection ends."""
    fault = fault or Fault("")
    stop = end if fault.drop_at is None else fault.drop_at
    cuts = {start, stop}
    if fault.flip is not None:
        cuts |= {fault.flip, fault.flip + 1}
    if fault.stall is not None:
        cuts.add(fault.stall_at)
    step = SLICE if fault.rate is None else max(1, min(SLICE, int(fault.rate / 20)))
    cuts |= set(range(start, stop, step))
    places = sorted(cut for cut in cuts if start <= cut <= stop)
    began, file = time.monotonic(), body.open("rb") if isinstance(body, Path) else None
    try:
        for here, there in pairwise(places):
            if fault.stall is not None and here == fault.stall_at:
                time.sleep(fault.stall)
            if here == fault.flip:
                byte = body[here] if file is None else _byte(file, here)
                connection.sendall(bytes([byte ^ 1]))
                said(1)
            elif file is None:
                connection.sendall(body[here:there])
                said(there - here)
            else:
                try:
                    connection.sendfile(file, here, there - here)
                finally:
                    # It leaves the file where it came to, also when the other side has gone.
                    said(file.tell() - here)
            if fault.rate is not None:
                time.sleep(max(0.0, (there - start) / fault.rate - (time.monotonic() - began)))
    finally:
        if file is not None:
            file.close()
    if fault.reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return stop == end and fault.drop_at is None and fault.length is None


def _byte(file, offset: int) -> int:
    file.seek(offset)
    return file.read(1)[0]

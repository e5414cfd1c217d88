"""Reports on their way out, in a thread of their own: a slow reader misses gauges and delays nothing."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from app.capture.frames import frame
from app.capture.messages import Level, Position, Preview, Recording, Report

__all__ = ["Outbox"]

GAUGES = (Preview, Level, Recording, Position)


class Outbox:
    """Sends what it is told through ``write``. Of each kind of gauge only the newest waits; everything else
    is never lost and keeps its order, and no gauge that was told before it leaves after it. ``broken`` is
    called once when nobody reads any more."""

    def __init__(self, write: Callable[[bytes], None], broken: Callable[[], None]) -> None:
        self._write, self._broken = write, broken
        self._new = threading.Condition()
        self._lasting: deque[Report] = deque()
        self._gauges: dict[type[Report], Report] = {}
        self._closed = False
        self._thread = threading.Thread(target=self._send, name="outbox", daemon=True)
        self._thread.start()

    def tell(self, report: Report) -> None:
        """Hand a report over; returns at once."""
        with self._new:
            if isinstance(report, GAUGES):
                self._gauges[type(report)] = report
            else:
                self._gauges.clear()
                self._lasting.append(report)
            self._new.notify()

    def close(self, seconds: float) -> None:
        """Send what is waiting, for at most so long."""
        with self._new:
            self._closed = True
            self._new.notify()
        self._thread.join(seconds)

    def _send(self) -> None:
        while True:
            with self._new:
                self._new.wait_for(lambda: self._closed or self._lasting or self._gauges)
                if self._lasting:
                    report = self._lasting.popleft()
                elif self._gauges:
                    report = self._gauges.pop(next(iter(self._gauges)))
                else:
                    return
            try:
                self._write(frame(report))
            except OSError:
                self._broken()
                return

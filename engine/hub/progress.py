"""How far a download is, told a few times a second: bytes, speed, time left, file by file."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable

from engine.messages import FileProgress, JobStep, StartJob

__all__ = ["Progress"]

PER_SECOND = 5

POINTS_PER_SECOND = 1
"""Points of the curve of speeds."""

SMOOTH = 5.0
"""Seconds over which the speed is taken."""

SETTLED = 1.5
"""Seconds of fetching before a time is promised."""


class Progress:
    """``received`` counts the bytes that came with this start of the job, ``notes`` are sentences to keep."""

    def __init__(self, order: StartJob, send: Callable[[JobStep], None]) -> None:
        self.received = 0
        self.notes: list[str] = []
        self._order, self._send = order, send
        self._sizes: dict[str, int] = {}
        self._done: dict[str, int] = {}
        self._doing = "Asking the Hub"
        self._trail: collections.deque[tuple[float, int]] = collections.deque()
        self._told = self._point = 0.0

    @property
    def done(self) -> int:
        """Bytes of the plan that lie on the disk."""
        return sum(self._done.values())

    @property
    def total(self) -> int:
        return sum(self._sizes.values())

    def expect(self, files: dict[str, tuple[int, int]]) -> None:
        """The files of the plan: (size, bytes that are there already)."""
        self._sizes = {name: size for name, (size, _) in files.items()}
        self._done = {name: there for name, (_, there) in files.items()}

    def at(self, name: str, done: int) -> None:
        self._done[name] = done
        self.tell()

    def say(self, doing: str) -> None:
        """What is being done now; told at once if it is something new."""
        new, self._doing = doing != self._doing, doing
        self.tell(now=new)

    def tell(self, now: bool = False) -> None:
        """Report, if there was no report just before."""
        clock = time.monotonic()
        if not now and clock - self._told < 1 / PER_SECOND:
            return
        self._told = clock
        speed = self._speed(clock)
        left = (self.total - self.done) / speed if speed and clock - self._trail[0][0] > SETTLED else None
        metrics: list[dict[str, float]] = []
        if clock - self._point >= 1 / POINTS_PER_SECOND and self.total:
            metrics, self._point = [{"speed": float(round(speed or 0.0))}], clock
        self._send(
            JobStep(
                id=self._order.id,
                epoch=self._order.epoch,
                steps_done=[self.done] if self.total else [],
                metrics=metrics,
                steps=self.total,
                message=" ".join([f"{self._doing}.", *self.notes[-1:]]),
                seconds_left=left,
                files=[FileProgress(name=n, done=self._done[n], total=s) for n, s in self._sizes.items()],
            )
        )

    def _speed(self, clock: float) -> float | None:
        """Bytes per second of the last seconds; None while there is nothing to go by."""
        self._trail.append((clock, self.received))
        while clock - self._trail[0][0] > SMOOTH:
            self._trail.popleft()
        (since, before), (until, after) = self._trail[0], self._trail[-1]
        return (after - before) / (until - since) if until > since else None

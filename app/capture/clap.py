"""By how much sound and pictures of a recording are apart, from a flash and a clap that belong together.

A flash is a picture much brighter than the one before, dark again within half a second (a screen, a lamp,
white paper turned over); a clap is a millisecond 20 dB above what was before, gone again soon. Within 300 ms
of each other they are one event; several have to agree.
"""

from __future__ import annotations

import statistics

import numpy
from numpy.typing import NDArray

__all__ = ["Clapper"]

LISTENED = 30.0
"""Seconds from the beginning in which a clap is looked for; nothing is remembered beyond."""
FLASH = 40.0
"""Grey levels, of 255, by which the whole picture brightens."""
FLASH_LASTS = 0.5
LOUD, LOUDER = 0.05, 10.0
"""Peak of a clap, and how many times that of the tenth of a second before."""
CLAP_LASTS = 0.15
APART = 0.3
AGREE = 0.04
_MS = 1000


class Clapper:
    """Remembers brightness and loudness of the first seconds of a recording."""

    def __init__(self, rate: int) -> None:
        self._per_ms = rate / _MS
        self._seen: list[tuple[float, float]] = []
        self._peaks = numpy.zeros(round(LISTENED * _MS), numpy.float32)
        self._count = 0

    def see(self, seconds: float, picture: NDArray[numpy.uint8]) -> None:
        """A picture [H, W, 3] at ``seconds`` of the recording."""
        if seconds < LISTENED:
            self._seen.append((seconds, float(picture[::8, ::8].mean())))

    def hear(self, samples: NDArray[numpy.float32]) -> None:
        """The next samples."""
        if self._count < LISTENED * _MS * self._per_ms and len(samples):
            slots = ((self._count + numpy.arange(len(samples))) / self._per_ms).astype(int)
            inside = slots < len(self._peaks)
            numpy.maximum.at(self._peaks, slots[inside], numpy.abs(samples[inside]))
        self._count += len(samples)

    def offset(self) -> float | None:
        """Seconds by which the sound has to come later to fit the pictures; None without flash and clap."""
        claps = self._claps()
        found: list[float] = []
        for flash in self._flashes():
            near = [flash - clap for clap in claps if abs(flash - clap) <= APART]
            if len(near) == 1:
                found += near
        if not found or max(found) - min(found) > 2 * AGREE:
            return None
        return statistics.median(found)

    def _flashes(self) -> list[float]:
        """When the picture got bright, and dark again soon after."""
        times = [time for time, _ in self._seen]
        steps = [after[1] - before[1] for before, after in zip(self._seen, self._seen[1:], strict=False)]
        found = []
        for at, step in enumerate(steps, 1):
            if step < FLASH:
                continue
            end = times[at] + FLASH_LASTS
            if any(fall < -FLASH / 2 and times[at] < times[k] <= end for k, fall in enumerate(steps, 1)):
                found.append(times[at])
        return found

    def _claps(self) -> list[float]:
        """When it got loud, and quiet again soon after."""
        peaks = self._peaks
        found: list[int] = []
        before, after = round(0.1 * _MS), round(CLAP_LASTS * _MS)
        for at in map(int, numpy.flatnonzero(peaks >= LOUD)):
            if found and at - found[-1] < after:
                continue
            earlier = peaks[max(0, at - before) : at]
            later = peaks[at + after : at + 2 * after]
            highest = peaks[at : at + after].max()
            if highest >= LOUDER * max(earlier.max(initial=0.0), LOUD / LOUDER) and (
                later.max(initial=0.0) < highest / 3
            ):
                found.append(at)
        return [at / _MS for at in found]

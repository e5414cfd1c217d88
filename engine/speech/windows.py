"""A recording piece by piece, each parted from the next in a pause, however long the whole is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from engine.speech.clip import Clip
from engine.speech.faces import Place
from engine.speech.media import Lost, read_sound
from engine.speech.missing import Missing
from engine.speech.shape import FPS, SAMPLE_RATE
from engine.speech.splitting import LONGEST, quietest, stillest
from engine.speech.video import Recording, read_window

__all__ = ["Window", "windows"]

SHORTEST = 1.0
"""Seconds of sound that a window has at least."""


@dataclass(frozen=True)
class Window:
    """The ``clip`` from ``start`` to ``end`` seconds of a recording; ``gaps``, ``note`` and ``notes`` of its
    pictures; ``looked`` are the seconds that finding the mouth took."""

    start: float
    end: float
    clip: Clip
    gaps: int = 0
    note: str = ""
    notes: tuple[str, ...] = ()
    looked: float = 0.0


def windows(
    path: Path,
    start: float,
    end: float,
    *,
    heard: bool,
    seen: bool,
    shift: float = 0.0,
    place: Place | None = None,
    longest: float = LONGEST,
    missing: Missing | None = None,
) -> Iterator[Window]:
    """What is ``heard`` and ``seen`` from ``start`` to ``end`` seconds, ``longest`` seconds at most at once.

    The sound is moved by ``shift`` seconds. ``place`` is where a person says that the mouth is at ``start``.
    What is held is one window. What is not there goes into ``missing``. DataError when the file cannot be
    read.
    """
    missing = missing or Missing()
    last: Place | None = None
    behind = torch.empty(0)  # mouths behind the last cut, which need not be looked for again
    while start < end - 1 / FPS:
        until = min(end, start + longest)
        sound = _sound(path, start, until, shift, missing.sound) if heard else None
        if sound is not None and until < end:
            until = start + quietest(sound, SHORTEST, until - start)
            sound = sound[: round((until - start) * SAMPLE_RATE)]
        began = time.monotonic()
        known = start + len(behind) / FPS
        seeing = Recording(None, None)
        if seen:
            seeing = read_window(path, known, until, place, last, missing.pictures)
        looked = time.monotonic() - began if seen else 0.0
        mouth = None if seeing.mouth is None else torch.from_numpy(seeing.mouth)
        if heard and sound is None and mouth is None:
            missing.sound.append((start, end))  # the file is shorter than it says
            missing.pictures += [(start, end)] if seen else []
            return
        if len(behind):
            # Where it gets lost, a window of its own ends before.
            until, seeing = (known, replace(seeing, note="")) if mouth is None else (until, seeing)
            mouth, behind = behind if mouth is None else torch.cat([behind, mouth]), torch.empty(0)
        if sound is None and mouth is not None and until < end:
            until = start + stillest(mouth, (until - start) / 2, until - start)
            mouth, behind = mouth.tensor_split([round((until - start) * FPS)])
        yield Window(start, until, Clip(sound, mouth), seeing.gaps, seeing.note, seeing.notes, looked)
        place, last = seeing.last if place else None, seeing.last or last
        start = until


def _sound(path: Path, start: float, end: float, shift: float, lost: Lost) -> Tensor | None:
    holes: Lost = []
    found = read_sound(path, start - shift, end - shift, holes)
    lost += [(first + shift, last + shift) for first, last in holes]
    return None if found is None or not len(found) else torch.from_numpy(found)

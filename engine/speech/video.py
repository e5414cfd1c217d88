"""A recording as a model takes it: sound at 16 kHz, the mouth at 25 pictures a second, whatever the file has.

A camera of 15 or 30 pictures, or one that stutters, stays in time with its sound. A long file is read in
windows, and no more of it is ever held than the window's sound and mouths and half a second of pictures.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy

from engine.speech.media import Lost, Picture, Sound, pictures, probe, read_sound
from engine.speech.mouth import Place, Tracker, cut, settled
from engine.speech.shape import FPS

__all__ = ["Recording", "at_25", "read_recording", "read_window"]

LONGEST_STEP = 0.08
"""Seconds from one picture to the next that are no gap."""
_HALFWAY = 1e-3
_T = TypeVar("_T")


@dataclass(frozen=True)
class Recording:
    """``sound`` float32 [samples] at 16 kHz, ``mouth`` uint8 [pictures, 96, 96] at 25 a second, each None
    where there is none. ``gaps`` counts places where the camera stood still; ``note`` says in a sentence why
    there is no mouth, ``notes`` what else there is. ``first`` and ``last`` are where the mouth was seen first
    and last, if ever."""

    sound: Sound | None
    mouth: Picture | None
    gaps: int = 0
    note: str = ""
    notes: tuple[str, ...] = ()
    first: Place | None = None
    last: Place | None = None


def read_recording(path: str | Path, place: Place | None = None) -> Recording:
    """What is heard and seen in the whole file at ``path``; as read_window."""
    return read_window(path, 0.0, None, place)


def read_window(
    path: str | Path,
    start: float,
    end: float | None,
    place: Place | None = None,
    last: Place | None = None,
    lost: Lost | None = None,
) -> Recording:
    """What is heard and seen from ``start`` to ``end`` seconds (None: to the end) of the file at ``path``.

    ``place`` is where a person says that the mouth is when the window begins; else a face is searched, and
    of several the one taken that is nearest to ``last``, where the window before this one ended. Sound and
    mouth may be shorter than the window, where the file ends in it. Pictures that are missing are noted in
    ``lost``. DataError when the file has neither
    sound nor pictures, or cannot be read.
    """
    facts = probe(path)
    sound = read_sound(path, start, end) if facts.rate else None
    if not facts.width:
        return Recording(sound, None, note="There is no video.")
    times: list[float] = []
    shown = at_25(_since(start, pictures(path, start, end, lost), times))
    if end is not None:
        shown = itertools.islice(shown, round((end - start) * FPS))
    tracker = Tracker(place, last)
    cuts: list[Picture] = []
    away = None
    for picture, found in settled(shown, tracker):
        if found is None:
            away = len(cuts) / FPS
            break
        cuts.append(cut(picture, found))
    for _ in shown:  # the rest of the pictures has gaps to be counted
        pass
    gaps = sum(after - before > LONGEST_STEP for before, after in itertools.pairwise(times))
    note = ""
    if away is not None:
        note = _why_lost(tracker, start + away)
    elif not cuts:
        note = "There are no pictures in this part of the video."
    mouth = None if note else numpy.stack(cuts)
    notes = (tracker.trouble,) if tracker.trouble else ()
    return Recording(sound, mouth, gaps, note, notes, tracker.first, tracker.last)


def at_25(shown: Iterable[tuple[float, _T]]) -> Iterator[_T]:
    """Of pictures with their times the nearest to (k + 1/2) / 25 s, for k = 0, 1 ..."""
    last: tuple[float, _T] | None = None
    step, k = 1 / FPS, 0
    for time, picture in shown:
        if last is not None:
            step = time - last[0]
            while (k + 0.5) / FPS <= last[0] + step / 2 + _HALFWAY:
                yield last[1]
                k += 1
        last = time, picture
    while last is not None and (k + 0.5) / FPS < last[0] + min(step, LONGEST_STEP) - _HALFWAY:
        yield last[1]
        k += 1


def _since(
    start: float, shown: Iterable[tuple[float, Picture]], times: list[float]
) -> Iterator[tuple[float, Picture]]:
    """``shown`` with times from ``start`` on, which are noted."""
    for time, picture in shown:
        times.append(time - start)
        yield time - start, picture


def _why_lost(tracker: Tracker, at: float) -> str:
    if tracker.first is None:
        return "No face was found throughout the video."
    return f"The face was out of sight for more than half a second from {at:.1f} s on."

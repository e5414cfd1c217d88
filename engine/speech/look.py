"""A clip at a glance: how loud it is, where somebody speaks, and what the mouth looks like on the way."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy
import torch
from torch import Tensor

from engine.messages import ClipCard, MouthPlace
from engine.speech.ahead import read_ahead
from engine.speech.faces import Place
from engine.speech.gate import is_dead, mouth_moves, speech_stretches
from engine.speech.listening import place_in
from engine.speech.media import Facts, Lost, Picture, pictures, probe
from engine.speech.missing import Missing
from engine.speech.noisy import blocks
from engine.speech.shape import FPS, SAMPLE_RATE
from engine.speech.video import Recording, read_window

__all__ = ["look"]

PEAKS = 1000
MOUTHS, OFTENEST = 100, 0.2
"""The most mouths in a strip, and the fewest seconds from one to the next."""
SIDE = 48
SHORT = 20.0
"""Seconds up to which every picture is looked at; of a longer clip only so many moments are."""
MOMENT = 0.2
"""Seconds of such a moment."""


@dataclass
class _Heard:
    peaks: list[float] = field(default_factory=list)
    speech: list[tuple[float, float]] = field(default_factory=list)
    dead: bool = True
    lost: Lost = field(default_factory=list)


@dataclass
class _Seen:
    mouths: list[Picture | None] = field(default_factory=list)
    first: Place | None = None
    lost: Lost = field(default_factory=list)
    gaps: int = 0
    notes: list[str] = field(default_factory=list)


def look(path: str | Path, place: MouthPlace | None = None) -> Generator[str | None, None, ClipCard]:
    """What is in the file at ``path``, as a card. Yields in words what is being done, and None while waiting,
    so that others may work. Memory does not grow with the clip. DataError when it cannot be read."""
    path = Path(path)
    facts = probe(path)
    heard, seen = _Heard(), _Seen()
    every = max(OFTENEST, facts.seconds / MOUTHS)
    if facts.rate:
        for done in _listen(path, facts, heard):
            yield f"Listening: {done:.0f} of {facts.seconds:.0f} s."
    size = (0, 0)
    if facts.width:
        first = next(pictures(path), None)
        size = (0, 0) if first is None else (first[1].shape[1], first[1].shape[0])
        by_hand = place_in(path, place)
        watch = _watch_all if facts.seconds <= SHORT else _watch_moments
        for at in read_ahead(watch(path, facts, by_hand, every, seen)):
            yield None if at is None else f"Looking for the mouth: {at:.0f} of {facts.seconds:.0f} s."
    return ClipCard(
        path=str(path),
        seconds=facts.seconds,
        sound=bool(facts.rate),
        pictures=size[0] > 0,
        face_found=any(mouth is not None for mouth in seen.mouths),
        frames=round(facts.fps * facts.seconds),
        width=size[0],
        height=size[1],
        fps=facts.fps,
        rate=facts.rate,
        channels=facts.channels,
        gaps=seen.gaps,
        peaks=heard.peaks,
        strip=_strip(seen.mouths),
        side=SIDE,
        every=every,
        place=_in_shares(seen.first, size[0]),
        speech=heard.speech,
        notes=[*seen.notes, *_notes(facts, heard, seen)],
    )


def _in_shares(place: Place | None, width: int) -> MouthPlace | None:
    if place is None:
        return None
    return MouthPlace(x=place.x / width, y=place.y / width, side=place.side / width)


def _listen(path: Path, facts: Facts, heard: _Heard) -> Iterator[float]:
    """Fill in ``heard``, block by block; yields the seconds that are done."""
    heard.peaks = [0.0] * PEAKS
    for start, sound in blocks(path, facts.seconds, lost=heard.lost):
        _add_peaks(heard.peaks, sound, start, facts.seconds)
        heard.dead = heard.dead and is_dead(sound)
        for one in speech_stretches(sound):
            _join(heard.speech, round(start + one.start, 2), round(start + one.end, 2))
        yield start


def _add_peaks(peaks: list[float], sound: Tensor, start: float, seconds: float) -> None:
    """Each sample counts for the part of the clip that it lies in."""
    times = start + torch.arange(len(sound)) / SAMPLE_RATE
    parts = (times / seconds * PEAKS).long().clamp_max(PEAKS - 1)
    found = torch.zeros(PEAKS).scatter_reduce(0, parts, sound.abs(), "amax")
    for part in range(int(parts[0]), int(parts[-1]) + 1):
        peaks[part] = round(max(peaks[part], min(1.0, float(found[part]))), 4)


def _join(speech: list[tuple[float, float]], start: float, end: float) -> None:
    """Add a stretch, which may go on where the last one was cut off by a block's edge."""
    if speech and start <= speech[-1][1]:
        speech[-1] = (speech[-1][0], end)
    else:
        speech.append((start, end))


def _watch_all(path: Path, facts: Facts, by_hand: Place | None, every: float, seen: _Seen) -> Iterator[float]:
    """Follow the mouth through all pictures; where it gets lost, look at moments."""
    yield 0.0
    found = read_window(path, 0.0, facts.seconds, by_hand, lost=seen.lost)
    seen.gaps, seen.first = found.gaps, found.first
    if found.mouth is None:
        if found.first is not None:
            yield from _watch_moments(path, facts, by_hand, every, seen)
        seen.notes = [*found.notes, found.note]
        return
    seen.notes = list(found.notes)
    if not mouth_moves(torch.from_numpy(found.mouth)):
        seen.notes.append("The mouth does not move.")
    seen.mouths = [found.mouth[min(len(found.mouth) - 1, round(t * FPS))] for t in _times(facts, every)]


def _watch_moments(
    path: Path, facts: Facts, by_hand: Place | None, every: float, seen: _Seen
) -> Iterator[float]:
    """Look at a few pictures every so often; a place by hand is one of the beginning."""
    last: Place | None = None
    for time in _times(facts, every):
        place = by_hand if time == 0 else None
        found = (
            Recording(None, None)
            if by_hand and time
            else read_window(path, time, min(facts.seconds, time + MOMENT), place, last)
        )
        seen.mouths.append(None if found.mouth is None else found.mouth[len(found.mouth) // 2])
        seen.first, last = seen.first or found.first, found.last or last
        yield time
    missing = sum(mouth is None for mouth in seen.mouths)
    if missing and by_hand is None:
        share = (
            "throughout" if missing == len(seen.mouths) else f"in {missing} of {len(seen.mouths)} moments of"
        )
        seen.notes.append(f"No face was found {share} the video.")


def _times(facts: Facts, every: float) -> list[float]:
    return [number * every for number in range(max(1, int(facts.seconds / every)))]


def _strip(mouths: list[Picture | None]) -> bytes:
    """The mouths side by side as a PNG, black where there is none; empty where there are none at all."""
    if all(mouth is None for mouth in mouths):
        return b""
    nothing = numpy.zeros((SIDE, SIDE), numpy.uint8)
    tiles = [
        nothing if mouth is None else cv2.resize(mouth, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        for mouth in mouths
    ]
    return bytes(cv2.imencode(".png", numpy.hstack(tiles))[1])


def _notes(facts: Facts, heard: _Heard, seen: _Seen) -> Iterator[str]:
    yield from Missing(heard.lost, seen.lost).sentences(0.0, facts.seconds)
    if seen.gaps:
        yield (
            "The camera stood still once." if seen.gaps == 1 else f"The camera stood still {seen.gaps} times."
        )
    if facts.rate and heard.dead:
        yield "The sound is digital silence: the microphone was muted, or it was another one."
    elif facts.rate and not heard.speech:
        yield "Nobody is heard to speak."

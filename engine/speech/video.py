"""A recording as a model takes it: sound at 16 kHz, the mouth at 25 pictures a second, whatever the file has.

Timestamps are believed, not frame counts: a camera of 15 or 30 pictures, or one that stutters, stays in time
with its sound. Torch-free; decoding is PyAV's.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy
from numpy.typing import NDArray

from engine.formats.errors import DataError
from engine.speech.mouth import Picture, Place, cut, track
from engine.speech.shape import FPS, SAMPLE_RATE

__all__ = ["Recording", "at_25", "pictures", "read_recording", "read_sound"]

LONGEST_STEP = 0.08
"""Seconds from one picture to the next that are no gap."""
_HALFWAY = 1e-3
_T = TypeVar("_T")


@dataclass(frozen=True)
class Recording:
    """``sound`` float32 [samples] at 16 kHz, ``mouth`` uint8 [pictures, 96, 96] at 25 a second, each None
    where there is none. ``gaps`` counts places where the camera stood still; ``note`` says in a sentence why
    there is no mouth."""

    sound: NDArray[numpy.float32] | None
    mouth: Picture | None
    gaps: int = 0
    note: str = ""


def read_recording(path: str | Path, by_hand: Place | None = None) -> Recording:
    """What is heard and seen in the file at ``path``. DataError when it has neither or cannot be read."""
    path = Path(path)
    sound = read_sound(path)
    times: list[float] = []
    places = track(at_25(_noting(pictures(path), times)), by_hand)
    if sound is None and not times:
        raise DataError(f"{path.name} has neither sound nor pictures.", "Choose another file.")
    gaps = sum(after - before > LONGEST_STEP for before, after in itertools.pairwise(times))
    if places is None:
        return Recording(
            sound, None, gaps, "No face was found throughout the video." if times else "There is no video."
        )
    shown = at_25(pictures(path))
    mouth = numpy.stack([cut(grey, place) for grey, place in zip(shown, places, strict=True)])
    return Recording(sound, mouth, gaps)


def read_sound(path: Path) -> NDArray[numpy.float32] | None:
    """The sound of the file, mono at 16 kHz, from the moment that its video begins; None: it has none."""
    with _opened(path) as file:
        if not file.streams.audio:
            return None
        resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
        pieces: list[NDArray[numpy.float32]] = []
        late = 0.0
        for frame in file.decode(audio=0):
            if not pieces:
                late = (frame.time or 0.0) - _origin(file)
            pieces += [out.to_ndarray()[0] for out in resampler.resample(frame)]
        pieces += [out.to_ndarray()[0] for out in resampler.resample(None)]
    whole = numpy.concatenate(pieces) if pieces else numpy.zeros(0, numpy.float32)
    shift = round(late * SAMPLE_RATE)
    return whole[-shift:] if shift < 0 else numpy.pad(whole, (shift, 0))


def pictures(path: Path) -> Iterator[tuple[float, Picture]]:
    """(seconds since the file's beginning, grey picture) for each picture of the file."""
    with _opened(path) as file:
        if not file.streams.video:
            return
        for frame in file.decode(video=0):
            if frame.time is not None:
                yield frame.time - _origin(file), frame.to_ndarray(format="gray")


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


def _noting(shown: Iterable[tuple[float, _T]], times: list[float]) -> Iterator[tuple[float, _T]]:
    for time, picture in shown:
        times.append(time)
        yield time, picture


def _origin(file: Any) -> float:
    return float(file.start_time or 0) / float(av.time_base)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with av.open(str(path)) as file:
            yield file
    except (av.FFmpegError, OSError) as error:
        raise DataError(
            f"{path.name} cannot be read as sound or video.",
            "Check that it plays elsewhere; if it was being recorded, it may be cut off.",
            f"{type(error).__name__}: {error}",
        ) from error

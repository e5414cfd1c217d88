"""Sound and video files of any kind: what is in them, and what is in a part of them, with its times.

Timestamps are believed, not counts. A part is reached by seeking; where a file cannot be sought in, it is
read from its beginning, which is slow and no less right. What is damaged is left out (``packets``), and
where, is told. Torch-free; decoding is PyAV's.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy
from numpy.typing import NDArray

from engine.formats.errors import AdapterError, DataError
from engine.formats.plain import load_json
from engine.speech.packets import Kind, decoded, length, opened, packets, stream_of
from engine.speech.shape import FPS, SAMPLE_RATE

__all__ = ["Facts", "Lost", "Picture", "Sound", "pictures", "probe", "read_sound", "sidecar_offset"]

Picture = NDArray[numpy.uint8]
Sound = NDArray[numpy.float32]
Lost = list[tuple[float, float]]
"""[start, end] in seconds after the file's beginning, of what should be there and is not."""
SAMPLED = 120
"""Pictures at the file's beginning whose times tell how many a second there are."""
UNEVEN = 0.25
"""The share by which one step may differ from the usual one in a file with an even rate."""
REORDERED = 8
"""Pictures that a codec may keep back, so that their times are not yet all there."""
PREROLL = 0.5
"""Seconds before a part that codecs of sound need to hear, to be themselves by its beginning."""
HOLE = 0.05
"""Seconds by which a piece of sound may be late before silence is put in."""
STILL = 0.5
"""Seconds without a picture that are told as missing, even where nothing is damaged."""
LOUDEST = 4.0
"""Times full scale. What is louder no microphone has heard: a damaged packet was decoded to it."""
LONGEST_HOLE = 600.0
"""Seconds. A time that is farther ahead than this is a mistake of the file's."""
THINNEST = 8.0
"""Bytes a second. A file that says it has fewer is not believed how long it is."""
FARTHEST = 2000.0
"""Milliseconds. A sidecar that says more is not believed."""


@dataclass(frozen=True)
class Facts:
    """``width``, ``height`` and ``fps`` are 0 without pictures, ``rate`` and ``channels`` without sound.

    ``fps`` is of the file's first seconds, ``variable`` says that the pictures there do not come evenly.
    ``offset`` in seconds: so much later than in the file the sound has to come, says the sidecar.
    """

    seconds: float
    width: int = 0
    height: int = 0
    fps: float = 0.0
    variable: bool = False
    rate: int = 0
    channels: int = 0
    offset: float = 0.0


def probe(path: str | Path) -> Facts:
    """What is in the file at ``path``; decodes nothing. DataError when it has neither sound nor pictures or
    cannot be read."""
    path = Path(path)
    with opened(path) as file:
        seen, heard = stream_of(file, "video"), stream_of(file, "audio")
        if seen is None and heard is None:
            raise DataError(f"{path.name} has neither sound nor pictures.", "Choose another file.")
        width, height = (seen.width, seen.height) if seen else (0, 0)
        fps, variable = _pace(file, seen) if seen else (0.0, False)
        seconds = file.duration / av.time_base if file.duration else None
        rate, channels = (heard.rate, heard.channels) if heard else (0, 0)
    offset = sidecar_offset(path)
    if seconds is None or path.stat().st_size < THINNEST * seconds:
        seconds = _measured(path)
    return Facts(seconds, width, height, fps, variable, rate, channels, offset)


def sidecar_offset(path: Path) -> float:
    """Seconds by which the file's sound has to come later to fit its pictures, as NAME.json beside NAME.mkv
    says ({"offset_ms": number}). 0.0 without one, or where a file of that name is something else."""
    try:
        told: Any = load_json(path.with_suffix(".json")).get("offset_ms")
    except (AdapterError, OSError):
        return 0.0
    if type(told) not in (int, float) or not abs(told) <= FARTHEST:
        return 0.0
    return float(told) / 1000


def read_sound(
    path: str | Path, start: float = 0.0, end: float | None = None, lost: Lost | None = None
) -> Sound | None:
    """Mono at 16 kHz from ``start`` to ``end`` seconds after the file's beginning, or to where it ends, moved
    as its sidecar says; None: the file has no sound. Holes in it are silence, and noted in ``lost``."""
    path = Path(path)
    late = sidecar_offset(path)
    start, stop = start - late, None if end is None else end - late
    with opened(path) as file:
        if stream_of(file, "audio") is None:
            return None
    pieces: list[Sound] = []
    begin, count = start, 0
    holes: Lost = []
    with closing(_frames(path, "audio", start - PREROLL, stop, holes)) as frames:
        for time, piece in _resampled(frames):
            if not pieces:
                begin = time
            hole = round((time - begin) * SAMPLE_RATE) - count
            if hole > HOLE * SAMPLE_RATE:
                pieces.append(numpy.zeros(hole, numpy.float32))
                count += hole
            if numpy.abs(piece).max(initial=0.0) > LOUDEST:
                holes.append((time, time + len(piece) / SAMPLE_RATE))
                piece = numpy.zeros_like(piece)
            pieces.append(piece)
            count += len(piece)
    if lost is not None:
        lost += [(begun + late, ended + late) for begun, ended in holes]
    whole = numpy.concatenate(pieces) if pieces else numpy.zeros(0, numpy.float32)
    shift = round((begin - start) * SAMPLE_RATE)
    whole = whole[-shift:] if shift < 0 else numpy.pad(whole, (shift, 0))
    return whole if stop is None else whole[: max(0, round((stop - start) * SAMPLE_RATE))]


def pictures(
    path: str | Path, start: float = 0.0, end: float | None = None, lost: Lost | None = None
) -> Iterator[tuple[float, Picture]]:
    """(seconds after the file's beginning, grey picture [H, W], upright) from the last one at or before
    ``start`` to the first at or after ``end``; nothing where the file has none. Stretches without any are
    noted in ``lost``."""
    with closing(_frames(Path(path), "video", start, end, lost)) as frames:
        for time, frame in frames:
            grey = frame.to_ndarray(format="gray")
            yield time, numpy.ascontiguousarray(numpy.rot90(grey, frame.rotation // 90))


def _frames(
    path: Path, kind: Kind, start: float, end: float | None, lost: Lost | None
) -> Generator[tuple[float, Any]]:
    """(seconds after the file's beginning, frame), from the last at or before ``start``. What should be there
    and is not goes into ``lost``."""
    for seeking in (True, False) if start > 0 else (False,):
        with opened(path) as file:
            stream = stream_of(file, kind)
            if stream is None:
                return
            origin = (file.start_time or 0) / av.time_base
            if seeking and not _seek(file, start + origin):
                continue
            frames = decoded(file, stream, None if seeking else origin)
            first = list(_to_first(frames))
            began = first[-1].time if first and first[-1] else None
            if seeking and (began is None or began - origin > start):
                continue  # it has been taken behind the place, or nowhere
            held, after, broken = None, max(start, 0.0) if seeking else 0.0, False
            for frame in itertools.chain(first, frames):
                if frame is None:
                    broken = True
                    continue
                time = after if frame.time is None else frame.time - origin
                time = after if time - after > LONGEST_HOLE else time
                if held is not None and time < held[0]:
                    continue
                _note(lost, after, time, HOLE if broken or kind == "audio" else STILL)
                after, broken = time + length(frame, stream), False
                if held is not None and time > start:
                    yield held
                held = (time, frame)
                if end is not None and time >= end:
                    break
            if held is not None:
                yield held
            if end is not None:
                _note(lost, after, end, HOLE if broken else STILL)
            return


def _to_first(frames: Iterator[Any]) -> Iterator[Any]:
    """As far as the first that is none of those left out."""
    for frame in frames:
        yield frame
        if frame is not None:
            return


def _note(lost: Lost | None, start: float, end: float, least: float) -> None:
    if lost is not None and end - start > least:
        lost.append((start, end))


def _resampled(frames: Iterator[tuple[float, Any]]) -> Iterator[tuple[float, Sound]]:
    """Pieces at 16 kHz, the mean of all channels, each with the time of what it was made of.

    A format may change on the way.
    """
    resampler: Any = None
    form, time = None, 0.0
    for time, frame in frames:
        if form != (form := (frame.format.name, frame.layout.name, frame.sample_rate)):
            for piece in resampler.resample(None) if resampler else ():
                yield time, piece.to_ndarray().mean(0)
            resampler = av.AudioResampler(format="fltp", layout=frame.layout, rate=SAMPLE_RATE)
        frame.pts = None
        for piece in resampler.resample(frame):
            yield time, piece.to_ndarray().mean(0)
    for piece in resampler.resample(None) if resampler else ():
        yield time, piece.to_ndarray().mean(0)


def _seek(file: Any, time: float) -> bool:
    try:
        file.seek(round(time * av.time_base))
    except av.FFmpegError:
        return False
    return True


def _pace(file: Any, stream: Any) -> tuple[float, bool]:
    """(pictures a second, whether they come unevenly) at the beginning of the file."""
    timed = (packet for packet in packets(file, stream) if packet.pts is not None)
    times = sorted(float(packet.pts * packet.time_base) for packet in itertools.islice(timed, SAMPLED))
    steps = numpy.diff(times[: -REORDERED or None] if len(times) == SAMPLED else times)
    if not len(steps) or steps.sum() <= 0:
        return float(stream.average_rate or 0), False
    usual = float(numpy.median(steps))
    return len(steps) / float(steps.sum()), bool((abs(steps - usual) > UNEVEN * usual).any())


def _measured(path: Path) -> float:
    """Seconds of a file that does not say how long it is, as one that was cut off: to its last packet."""
    with opened(path) as file:
        begin, end, untimed = float(file.start_time or 0) / av.time_base, 0.0, 0
        for packet in packets(file):
            if packet.pts is not None:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base) - begin)
            elif packet.size:
                untimed += packet.stream.type == "video"
    return end or untimed / FPS

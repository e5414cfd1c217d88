"""One stream of a sound or video file, read on behind whatever is damaged in it.

A packet that cannot be decoded is left out and the next is tried; a time that leaps away and comes back was
a mistake and is counted instead. Nothing here ends a file early, and little is ever held.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import av
from av.stream import Disposition

from engine.formats.errors import DataError
from engine.formats.plain import open_plain
from engine.speech.shape import FPS

__all__ = ["Kind", "decoded", "length", "opened", "packets", "stream_of"]

Kind = Literal["audio", "video"]
STUBBORN = 100
"""Failures in a row after which a file is taken to have ended."""
LEAP = 1.0
"""Seconds by which a packet may come earlier or later than it should before its time is doubted."""
DOUBT_SECONDS, DOUBT_BYTES = 12.0, 32 << 20
"""What is held, at most, until a doubted time comes back; where it does not, it is believed."""
STRICT = {"err_detect": "crccheck+explode"}
"""Without it a damaged piece of FLAC is a loud noise, in which words could be heard."""
LARGEST = 1 << 26
"""Pixels. A damaged picture that claims to have more is not made room for."""


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The file at ``path``, and nothing that it refers to. DataError when it cannot be read."""
    try:
        open_plain(path).close()
        plain = {"protocol_whitelist": "file"}
        with av.open(str(path.resolve()), options=plain, metadata_errors="replace") as file:
            yield file
    except (av.FFmpegError, OSError) as error:
        raise DataError(
            f"{path.name} cannot be read as sound or video.",
            "Check that it plays elsewhere; if it was being recorded, it may be cut off.",
            f"{type(error).__name__}: {error}",
        ) from error


def stream_of(file: Any, kind: Kind) -> Any:
    """The first stream of a kind that can be decoded, or None; the cover of a record is no video."""
    streams = file.streams.audio if kind == "audio" else file.streams.video
    usable = (s for s in streams if s.codec_context and not s.disposition & Disposition.attached_pic)
    return next(usable, None)


def packets(file: Any, *streams: Any) -> Iterator[Any]:
    """Those of ``streams`` (none: of all) in their order, an empty one for each stream at the end."""
    failures = 0
    while failures < STUBBORN:
        try:
            for packet in file.demux(*streams):
                failures = 0
                yield packet
            return
        except av.FFmpegError:
            failures += 1


def decoded(file: Any, stream: Any, begin: float | None) -> Iterator[Any]:
    """The frames of ``stream``, and None wherever something damaged was left out. ``begin`` is the second at
    which the first is expected, None: anywhere."""
    stream.thread_type = "AUTO"
    stream.codec_context.options = {"max_pixels": str(LARGEST)} if stream.type == "video" else STRICT
    for packet in _timely(packets(file, stream), begin):
        try:
            found = packet.decode()
        except av.FFmpegError:
            yield None
            continue
        for frame in found:
            yield None if frame.is_corrupt else frame


def length(frame: Any, stream: Any) -> float:
    """Seconds of a frame, for files that say no times."""
    if stream.type == "audio":
        return float(frame.samples / frame.sample_rate)
    return 1 / float(stream.average_rate or FPS)


def _timely(given: Iterator[Any], expected: float | None) -> Iterator[Any]:
    """``given``, where times go on as they began: those that leap ahead and come back, or go back, are
    counted from the packet before. A leap that lasts is a hole."""
    doubted: list[Any] = []
    for packet in given:
        if packet.pts is None:
            yield from doubted
            doubted = []
            yield packet
            continue
        time, took = float(packet.pts * packet.time_base), _took(packet)
        if doubted and expected is not None:
            if time >= _time(doubted[0]) - LEAP:
                doubted.append(packet)
                if _is_long(doubted):
                    yield from doubted
                    expected, doubted = time + took, []
                continue
            for one in doubted:
                if expected < time:
                    yield _at(one, expected)
                    expected += _took(one)
            doubted = []
        if expected is not None and time > expected + LEAP:
            doubted = [packet]
            continue
        if expected is not None and time < expected - LEAP:
            time = expected
            packet = _at(packet, time)
        expected = max(time + took, expected or 0.0)
        yield packet
    yield from doubted


def _is_long(held: list[Any]) -> bool:
    return sum(map(_took, held)) > DOUBT_SECONDS or sum(packet.size for packet in held) > DOUBT_BYTES


def _time(packet: Any) -> float:
    return float(packet.pts * packet.time_base)


def _took(packet: Any) -> float:
    told = float(packet.duration * packet.time_base) if packet.duration else 0.0
    return told if 0 < told < LEAP else 1 / FPS


def _at(packet: Any, time: float) -> Any:
    packet.pts = packet.dts = round(time / packet.time_base)
    return packet

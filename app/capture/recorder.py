"""Sound and pictures as one Matroska file that plays whenever the writing stops, in a thread of its own."""

from __future__ import annotations

import contextlib
import math
import os
import queue
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy
from numpy.typing import NDArray

from app.capture.camera import Picture
from app.capture.clap import Clapper
from app.capture.meter import decibels
from app.capture.microphone import Sound
from engine.formats.errors import StudioError
from engine.formats.files import explain_os_error

__all__ = ["LONGEST_STEP", "Recorder"]

LONGEST_STEP = 0.08
"""Seconds from one picture to the next that are no gap."""
TICKS = 1000
"""Of a picture's timestamp in a second; Matroska keeps milliseconds."""
MOST_PICTURES = 60
"""Waiting to be written; more are left out and seen as gaps, rather than filling the memory."""
MOST_BLOCKS = 10_000
CLUSTER = 500
"""Milliseconds after which what was written is on the disk and plays by itself."""
_CONTAINER = {"cluster_time_limit": str(CLUSTER), "flush_packets": "1"}
_X264 = {"preset": "veryfast", "tune": "zerolatency", "crf": "20"}


class _Disk:
    """The file as FFmpeg writes it: past every buffer, so that a kill takes nothing that was written, and
    with the system's own reason where it refuses, which FFmpeg forgets."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb", buffering=0)
        self.seek, self.tell, self.close = self._file.seek, self._file.tell, self._file.close
        self.refused: OSError | None = None
        self.size = 0

    def write(self, data: bytes) -> int:
        left = memoryview(data)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            self.refused = self.refused or error
            raise
        self.size = max(self.size, self.tell())
        return len(data)

    def sync(self) -> None:
        os.fsync(self._file.fileno())


class Recorder(threading.Thread):
    """Writes ``path``: sound at ``rate`` (None: none), pictures of ``size`` (width, height; None: none), of
    which a camera says that there are ``fps`` a second: a hint to players, no more.

    ``frames``, ``gaps``, ``samples``, ``peak``, ``bytes`` are what has been written so far; ``trouble`` is
    why nothing more will be. What comes at ``until`` seconds or later is left out. ``close``, then ``join``.
    """

    def __init__(
        self,
        path: Path,
        rate: int | None,
        size: tuple[int, int] | None,
        fps: float = 0.0,
        until: float = math.inf,
    ) -> None:
        super().__init__(name="recorder", daemon=True)
        self.path, self.rate, self._size = path, rate, size
        self.until = until
        self._fps = round(fps) or 30
        self.frames = self.gaps = self.samples = 0
        self.peak = 0.0
        self.last = -1.0
        self.trouble: StudioError | None = None
        self.clapper = Clapper(rate or TICKS)
        self._waiting: queue.SimpleQueue[Sound | tuple[float, Picture] | None] = queue.SimpleQueue()
        self._pictures = 0
        try:
            self._disk = _Disk(path)
        except FileExistsError as error:
            raise StudioError(
                "usage", f"{path.name} exists already.", "Choose another name, or remove the file first."
            ) from error
        except OSError as error:
            raise explain_os_error(error, "writing the recording") from error
        self.start()

    def hear(self, samples: Sound) -> None:
        """The next samples of the recording."""
        if self._waiting.qsize() < MOST_BLOCKS:
            self._waiting.put(samples)

    def see(self, seconds: float, picture: Picture) -> None:
        """The picture at ``seconds`` of the recording; those before its beginning are left out."""
        if seconds >= 0 and self._pictures < MOST_PICTURES:
            self._pictures += 1
            self._waiting.put((seconds, picture))

    def close(self) -> None:
        """Write what is waiting and end the file."""
        self._waiting.put(None)

    @property
    def seconds(self) -> float:
        """How much has been written."""
        return self.samples / self.rate if self.rate else max(0.0, self.last)

    @property
    def bytes(self) -> int:
        """The size of the file."""
        return self._disk.size

    def run(self) -> None:
        try:
            with contextlib.closing(self._disk):
                self._write()
                self._disk.sync()
        except (av.FFmpegError, OSError, ValueError) as error:
            refused = self._disk.refused
            self.trouble = (
                explain_os_error(refused, "writing the recording")
                if refused
                else StudioError(
                    "failed",
                    "The recording could not be written any further.",
                    "What was recorded before is kept. Try again, or with another camera.",
                    f"{type(error).__name__}: {error}",
                )
            )

    def _write(self) -> None:
        with av.open(self._disk, "w", format="matroska", options=_CONTAINER) as out:
            sound = self._sound_stream(out) if self.rate else None
            video = self._picture_stream(out) if self._size else None
            fifo = av.AudioFifo()
            while (item := self._waiting.get()) is not None:
                if isinstance(item, tuple):
                    self._pictures -= 1
                    if video is not None:
                        self._write_picture(out, video, *item)
                elif sound is not None:
                    self._write_sound(out, sound, fifo, item)
            if sound is not None:
                out.mux(_encoded(sound, fifo.read(0, partial=True)))
            for stream in (sound, video):
                if stream is not None:
                    out.mux(stream.encode(None))

    def _sound_stream(self, out: Any) -> Any:
        stream = out.add_stream("flac", rate=self.rate, layout="mono", format="s16")
        stream.codec_context.open()
        return stream

    def _picture_stream(self, out: Any) -> Any:
        assert self._size is not None
        stream = out.add_stream("libx264", rate=self._fps, options=_X264)
        stream.width, stream.height = (side // 2 * 2 for side in self._size)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, TICKS)
        stream.codec_context.gop_size = self._fps
        stream.codec_context.thread_count = 1
        return stream

    def _write_sound(self, out: Any, stream: Any, fifo: Any, samples: Sound) -> None:
        left = max(0, round(min(self.until * (self.rate or 0), 2.0**62)) - self.samples)
        samples = samples[:left]
        if not len(samples):
            return
        self.peak = max(self.peak, float(numpy.abs(samples).max()))
        self.clapper.hear(samples)
        whole: NDArray[numpy.int16] = (numpy.clip(samples, -1, 1) * 32767).round().astype(numpy.int16)
        frame = av.AudioFrame.from_ndarray(whole[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = self.rate or 0, self.samples
        frame.time_base = Fraction(1, self.rate or 1)
        self.samples += len(samples)
        fifo.write(frame)
        while (ready := fifo.read(stream.codec_context.frame_size)) is not None:
            out.mux(stream.encode(ready))

    def _write_picture(self, out: Any, stream: Any, seconds: float, picture: Picture) -> None:
        tick = round(seconds * TICKS)
        if tick <= round(self.last * TICKS) or seconds >= self.until:
            return
        if self.frames and seconds - self.last > LONGEST_STEP:
            self.gaps += 1
        self.last = seconds
        self.frames += 1
        self.clapper.see(seconds, picture)
        cut = numpy.ascontiguousarray(picture[: stream.height, : stream.width])
        frame = av.VideoFrame.from_ndarray(cut, format="bgr24")
        frame.pts, frame.time_base = tick, Fraction(1, TICKS)
        out.mux(stream.encode(frame))

    @property
    def peak_dbfs(self) -> float:
        """The loudest sample."""
        return decibels(self.peak)


def _encoded(stream: Any, rest: Any) -> Any:
    """The last, shorter frame."""
    return stream.encode(rest) if rest is not None else []

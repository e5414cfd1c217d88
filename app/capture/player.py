"""Plays a clip's sound and says where it is; without a loudspeaker the clock stands in, for the pictures."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy
from numpy.typing import NDArray

from app.capture.messages import Play, Played, Position, Report, Trouble
from app.capture.portaudio import PortAudio
from engine.formats.errors import DataError, StudioError

__all__ = ["Player"]

RATE, CHANNELS = 48_000, 2
AHEAD = 1.0
"""Seconds of sound that are decoded in advance."""
EVERY = 0.05
DEAD = 1.0
"""Seconds without a callback after which the loudspeaker is taken for gone."""


class Player(threading.Thread):
    """Plays from the start. ``tell`` hears Position, Played at the end, and Trouble where there is no
    loudspeaker. StudioError when the file has nothing that could be played."""

    def __init__(self, portaudio: PortAudio, play: Play, tell: Callable[[Report], None]) -> None:
        super().__init__(name="player", daemon=True)
        self._path = Path(play.path)
        self._sound = Path(play.sound or play.path)
        length = max(_length(self._path), _length(self._sound) if play.sound else 0.0)
        self._end = length if play.end is None else min(play.end, length)
        self._portaudio, self._tell = portaudio, tell
        self._stopping = threading.Event()
        self._is_replaced = False
        self._seeking: float | None = None
        # Blocks that wait for the loudspeaker, and when which second of the clip is to be heard.
        self._blocks: deque[NDArray[numpy.float32]] = deque()
        self._lock = threading.Lock()
        self._played = self._mark = max(0.0, min(play.start, self._end))
        self._marked = time.monotonic()
        self._stream: Any = None
        self._open(play.loudspeaker)
        self.start()

    def seek(self, seconds: float) -> None:
        """Go on from there."""
        self._seeking = max(0.0, min(seconds, self._end))

    def close(self, *, is_replaced: bool = False) -> None:
        """Stop, and let go of the loudspeaker; of one in whose place another plays Played is not said."""
        self._is_replaced = is_replaced
        self._stopping.set()
        self.join()
        self._let_go()

    @property
    def position(self) -> float:
        """Seconds of the clip that are heard now."""
        with self._lock:
            return min(self._end, max(0.0, self._mark + time.monotonic() - self._marked))

    def run(self) -> None:
        sound = self._decoded(self._played)
        ahead, position = True, self.position
        while not self._stopping.is_set():
            if self._seeking is not None:
                to, self._seeking = self._seeking, None
                with self._lock:
                    self._blocks.clear()
                    self._played = self._mark = to
                    self._marked = time.monotonic()
                sound, ahead, position = self._decoded(to), True, to
            while ahead and self._stream is not None and self._ahead() < AHEAD * RATE:
                block = next(sound, None)
                ahead = block is not None
                if block is not None:
                    with self._lock:
                        self._blocks.append(block)
            position = max(position, self.position)  # each block sets the clock right, a little back too
            self._tell(Position(path=str(self._path), seconds=position, silent=self._stream is None))
            if position >= self._end:
                break
            if self._stream is not None and time.monotonic() - self._marked > DEAD:
                self._lost()
            time.sleep(EVERY)
        if not self._is_replaced:
            self._tell(Played(path=str(self._path), seconds=self.position))

    def _open(self, loudspeaker: str) -> None:
        """The loudspeaker, or a sentence and silence."""
        try:
            library = self._portaudio.library
            index = self._portaudio.index(loudspeaker, "output")
            try:
                self._stream = library.OutputStream(
                    device=index,
                    samplerate=RATE,
                    channels=CHANNELS,
                    dtype="float32",
                    latency="high",
                    callback=self._wanted,
                )
                self._stream.start()
            except library.PortAudioError as error:
                raise self._portaudio.explain(error, "The loudspeaker") from error
            self._portaudio.streams += 1
        except StudioError as error:
            self._stream = None
            self._tell(Trouble(about="loudspeaker", error=error.as_message()))

    def _let_go(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
            self._portaudio.streams -= 1

    def _lost(self) -> None:
        self._let_go()
        error = StudioError(
            "missing",
            "The loudspeaker is not there any more.",
            "Plug it in again; until then the clip is shown without sound.",
        )
        self._tell(Trouble(about="loudspeaker", error=error.as_message()))

    def _ahead(self) -> int:
        """Samples that wait for the loudspeaker."""
        with self._lock:
            return sum(map(len, self._blocks))

    def _wanted(self, out: NDArray[numpy.float32], frames: int, times: Any, status: Any) -> None:
        """PortAudio's callback: copies what is ready, and notes when it will be heard."""
        delay = times.outputBufferDacTime - times.currentTime
        with self._lock:
            self._mark = self._played
            self._marked = time.monotonic() + (delay if 0 <= delay < 2 else 0.0)
            filled = 0
            while filled < frames and self._blocks:
                block = self._blocks.popleft()
                part = block[: frames - filled]
                out[filled : filled + len(part)] = part
                filled += len(part)
                if len(part) < len(block):
                    self._blocks.appendleft(block[len(part) :])
            out[filled:] = 0
            self._played += frames / RATE

    def _decoded(self, start: float) -> Iterator[NDArray[numpy.float32]]:
        """The sound from ``start`` seconds on, [samples, channels]."""
        with av.open(str(self._sound)) as file:
            if not file.streams.audio:
                return
            origin = (file.start_time or 0) / av.time_base
            file.seek(int((start + origin) * av.time_base))
            # FFmpeg would play one channel on two loudspeakers at 0.7 of its loudness.
            mono = file.streams.audio[0].channels == 1
            resampler = av.AudioResampler(format="flt", layout="mono" if mono else "stereo", rate=RATE)
            due = start
            for frame in file.decode(audio=0):
                at = float(frame.time or 0.0) - origin
                for out in resampler.resample(frame):
                    block = out.to_ndarray().reshape(out.samples, -1).repeat(2 if mono else 1, 1)
                    skip = round((due - at) * RATE)
                    if skip < 0:  # the sound begins later than the clip
                        block = numpy.concatenate([numpy.zeros((-skip, CHANNELS), numpy.float32), block])
                    elif skip > 0:
                        block = block[skip:]
                    at += out.samples / RATE
                    due = max(due, at)
                    if len(block):
                        yield block


def _length(path: Path) -> float:
    """Seconds of a clip; read through where the file does not say. DataError when it cannot be read."""
    try:
        with av.open(str(path)) as file:
            if not (file.streams.audio or file.streams.video):
                raise DataError(f"{path.name} has neither sound nor pictures.", "Choose another file.")
            if file.duration:
                return float(file.duration / av.time_base)
            ends = (
                float((packet.pts + (packet.duration or 0)) * packet.time_base)
                for packet in file.demux()
                if packet.pts is not None
            )
            return float(max(ends, default=0.0))
    except (av.FFmpegError, OSError) as error:
        raise DataError(
            f"{path.name} cannot be played.",
            "Check that it plays elsewhere.",
            f"{type(error).__name__}: {error}",
        ) from error

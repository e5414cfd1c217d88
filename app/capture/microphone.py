"""A microphone: blocks of sound, counted and stamped, without a hole in the count."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy
from numpy.typing import NDArray

from app.capture.clock import SampleClock
from app.capture.portaudio import PortAudio
from engine.formats.errors import StudioError

__all__ = ["Microphone", "Sound"]

Sound = NDArray[numpy.float32]
RATE = 48_000
"""Asked for first; a device that cannot is heard at its own rate."""
LATENCY = 0.05
DEAD = 1.0
"""Seconds without a block after which silence stands in for it, so that pictures are still kept in time."""
BEHIND = 0.5
"""Seconds by which that silence stays behind the present."""
MOST_WAITING = 2000
"""Blocks; more are lost, which the clock notices, rather than memory."""


class Microphone:
    """Open from the start. ``heard(first, samples)`` is called in a thread of its own with sample numbers
    that follow each other and mono sound; ``gone(microphone, error)`` once when the device ends by itself.

    ``clock`` tells when a sample was heard, ``count`` is the number of the next one; ``silence`` counts the
    samples that stand in for lost ones.
    """

    def __init__(
        self,
        portaudio: PortAudio,
        id: str,
        name: str,
        heard: Callable[[int, Sound], None],
        gone: Callable[[Microphone, StudioError], None],
    ) -> None:
        self.name = name
        self.count = self.silence = 0
        self._portaudio = portaudio
        self._heard, self._gone = heard, gone
        self._waiting: queue.SimpleQueue[tuple[Sound, float] | None] = queue.SimpleQueue()
        self._closing = False
        index = portaudio.index(id, "input")
        self.rate, self.channels, self._stream = self._open(index)
        self.clock = SampleClock(self.rate, time.monotonic())
        self._thread = threading.Thread(target=self._listen, name="microphone", daemon=True)
        try:
            self._stream.start()
        except portaudio.library.PortAudioError as error:
            self._stream.close()
            raise portaudio.explain(error, f"The microphone “{name}”") from error
        portaudio.streams += 1
        self._thread.start()

    def close(self) -> None:
        """Let go of the device; nothing is heard after that."""
        self._closing = True
        self._waiting.put(None)
        self._thread.join()
        try:
            self._stream.close()
        finally:
            self._portaudio.streams -= 1

    def _open(self, index: int) -> tuple[int, int, Any]:
        """The stream at the first rate and number of channels that the device takes."""
        library = self._portaudio.library
        own = round(library.query_devices(index)["default_samplerate"])
        error: Exception | None = None
        for rate, channels in ((RATE, 1), (RATE, 2), (own, 1), (own, 2)):
            try:
                stream = library.InputStream(
                    device=index,
                    samplerate=rate,
                    channels=channels,
                    dtype="float32",
                    latency=LATENCY,
                    callback=self._arrived,
                    finished_callback=self._finished,
                )
            except library.PortAudioError as refusal:
                error = error or refusal
            else:
                return rate, channels, stream
        assert error is not None
        raise self._portaudio.explain(error, f"The microphone “{self.name}”") from error

    def _arrived(self, block: Sound, frames: int, times: Any, status: Any) -> None:
        """PortAudio's callback: copies and stamps, and does nothing else."""
        now = time.monotonic()
        delay = times.currentTime - times.inputBufferAdcTime
        if not 0 <= delay < 1:
            delay = frames / self.rate
        if self._waiting.qsize() < MOST_WAITING:
            self._waiting.put((block.copy(), now - delay))

    def _finished(self) -> None:
        if not self._closing:
            self._waiting.put(None)

    def _listen(self) -> None:
        last = time.monotonic()
        while True:
            try:
                item = self._waiting.get(timeout=0.1)
            except queue.Empty:
                if time.monotonic() - last > DEAD:
                    self._stand_in(self.clock.sample_at(time.monotonic() - BEHIND) - self.count)
                continue
            if item is None:
                break
            block, stamp = item
            last = time.monotonic()
            self._stand_in(self.clock.observe(self.count, stamp))
            self._pass_on(block[:, 0] if block.shape[1] == 1 else block.mean(1))
        if not self._closing:
            self._gone(
                self,
                StudioError(
                    "missing",
                    f"The microphone “{self.name}” is not there any more.",
                    "Plug it in again, or choose another one.",
                ),
            )

    def _stand_in(self, samples: float) -> None:
        """Silence for so many samples, a second at a time."""
        left = int(samples)
        while left > 0:
            block = numpy.zeros(min(left, self.rate), numpy.float32)
            self.silence += len(block)
            left -= len(block)
            self._pass_on(block)

    def _pass_on(self, samples: Sound) -> None:
        self._heard(self.count, samples)
        self.count += len(samples)

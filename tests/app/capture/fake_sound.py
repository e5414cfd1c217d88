"""What stands in for the module sounddevice, with devices and troubles of a test's choice."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import numpy


class PortAudioError(Exception):
    """As sounddevice's."""


class Stream:
    """Calls back every 10 ms while it is started, unless told otherwise."""

    def __init__(self, owner: FakeSound, options: dict[str, Any]) -> None:
        self.owner, self.options = owner, options
        self.rate, self.channels = options["samplerate"], options["channels"]
        self.speaking = True
        self.closed = False
        self.said: list[numpy.ndarray] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def unplug(self) -> None:
        """The device goes: no more callbacks, and PortAudio says that the stream has finished."""
        self._end.set()
        self._thread.join()
        finished = self.options.get("finished_callback")
        if finished is not None:
            finished()

    def close(self) -> None:
        self.closed = True
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        frames = self.rate // 100
        while not self._end.wait(0.01):
            if not self.speaking:
                continue
            now = time.monotonic() + 1000  # PortAudio's clock is another one
            times = SimpleNamespace(
                currentTime=now, inputBufferAdcTime=now - 0.01, outputBufferDacTime=now + 0.005
            )
            block = numpy.full((frames, self.channels), self.owner.loudness, numpy.float32)
            self.options["callback"](block, frames, times, None)
            self.said.append(block)


class FakeSound(SimpleNamespace):
    """``inputs`` and ``outputs`` are names; ``refused`` are rates that no device takes."""

    def __init__(self) -> None:
        super().__init__()
        self.PortAudioError = PortAudioError
        self.inputs, self.outputs = ["Desk microphone"], ["Loudspeaker"]
        self.refused: set[int] = set()
        self.loudness = 0.25
        self.streams: list[Stream] = []
        self.looks = 0
        self.default = SimpleNamespace(device=(0, 1))

    def query_hostapis(self) -> list[dict[str, str]]:
        return [{"name": "ALSA"}]

    def query_devices(self, index: int | None = None) -> Any:
        listed = [
            {
                "name": name,
                "hostapi": 0,
                "max_input_channels": int(kind == "input"),
                "max_output_channels": 2 * int(kind == "output"),
                "default_samplerate": 44100.0,
            }
            for kind, names in (("input", self.inputs), ("output", self.outputs))
            for name in names
        ]
        return listed if index is None else listed[index]

    def InputStream(self, **options: Any) -> Stream:
        return self._open(options)

    def OutputStream(self, **options: Any) -> Stream:
        return self._open(options)

    def _open(self, options: dict[str, Any]) -> Stream:
        if options["samplerate"] in self.refused:
            raise PortAudioError("Invalid sample rate [PaErrorCode -9997]")
        self.streams.append(Stream(self, options))
        return self.streams[-1]

    def _terminate(self) -> None:
        pass

    def _initialize(self) -> None:
        self.looks += 1

"""A sound server of its own, a capture process to talk to, and a video that flashes."""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import av
import numpy
import pytest

from app.capture.frames import ReportFrames, frame
from app.capture.messages import Command, Report
from tests.app.capture.fake_sound import FakeSound

_R = TypeVar("_R")
_SINK = "rate=48000 channels=1"


@pytest.fixture(scope="session")
def pulse() -> Iterator[dict[str, str]]:
    """The environment in which PortAudio's "pulse" hears what is played into the sink "vmic"."""
    if shutil.which("pulseaudio") is None or shutil.which("pactl") is None:
        pytest.skip("there is no virtual microphone: pulseaudio is not installed")
    folder = Path(tempfile.mkdtemp(prefix="pulse-"))
    socket = folder / "native"
    env = {**os.environ, "XDG_RUNTIME_DIR": str(folder), "HOME": str(folder)}
    server = subprocess.Popen(
        [
            "pulseaudio",
            "-n",
            "--daemonize=no",
            "--system=false",
            "--exit-idle-time=600",  # where nobody is left to end it
            "--use-pid-file=no",
            "--disable-shm=yes",
            "-L",
            f"module-native-protocol-unix auth-anonymous=1 socket={socket}",
            "-L",
            f"module-null-sink sink_name=vmic {_SINK}",
            "-L",
            f"module-null-sink sink_name=speaker {_SINK}",
        ],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        env |= {"PULSE_SERVER": f"unix:{socket}", "PULSE_SOURCE": "vmic.monitor", "PULSE_SINK": "speaker"}
        deadline = time.monotonic() + 60
        while subprocess.run(["pactl", "info"], env=env, capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline and server.poll() is None, "pulseaudio does not start"
            time.sleep(0.1)
        yield env
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


class Capture:
    """A capture process and what it has reported."""

    def __init__(self, env: dict[str, str]) -> None:
        self.reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self.all: list[Report] = []
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "app.capture"],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, *commands: Command) -> None:
        assert self.process.stdin is not None
        for command in commands:
            self.process.stdin.write(frame(command))
        self.process.stdin.flush()

    def wait(self, kind: type[_R], seconds: float = 60.0) -> _R:
        """The next report of this kind."""
        deadline = time.monotonic() + seconds
        while True:
            report = self.reports.get(timeout=max(0.01, deadline - time.monotonic()))
            self.all.append(report)
            if isinstance(report, kind):
                return report

    def end(self) -> int:
        """Close its stdin, as the end of the window does, and wait."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(60)

    def _read(self) -> None:
        assert self.process.stdout is not None
        frames = ReportFrames()
        while data := os.read(self.process.stdout.fileno(), 1 << 16):
            for report in frames.feed(data):
                self.reports.put(report)
        self.process.stdout.close()


@pytest.fixture
def capture(pulse: dict[str, str]) -> Iterator[Capture]:
    """A capture process that hears the virtual microphone."""
    one = Capture(pulse)
    yield one
    if one.process.poll() is None:
        one.process.kill()
    one.process.wait()
    if one.process.stdin is not None and not one.process.stdin.closed:
        one.process.stdin.close()


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> FakeSound:
    """A sounddevice that does what a test tells it to."""
    fake = FakeSound()
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


@pytest.fixture(scope="session")
def flashing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds at 30 pictures a second, white for a tenth of a second at 1, 3, 5, 7 and 9 s."""
    path = tmp_path_factory.mktemp("video") / "flashing.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(300):
            white = any(0 <= number / 30 - second < 0.1 for second in range(1, 10, 2))
            picture = numpy.full((240, 320, 3), 250 if white else 30, numpy.uint8)
            picture[100:140, number % 280 : number % 280 + 40] = 120
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        out.mux(stream.encode(None))
    return path

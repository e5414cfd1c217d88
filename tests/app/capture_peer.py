"""What the window takes for the capture process: it has one camera and fails on demand."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from app.capture.frames import CommandFrames, frame
from app.capture.messages import (
    Device,
    Devices,
    Light,
    LookForDevices,
    OpenDevices,
    Opened,
    Quit,
    Ready,
    Recorded,
    Recording,
    Report,
    StartRecording,
    StopRecording,
)

DEVICES = Devices(
    cameras=[Device(id="cam0", name="Camera")], microphones=[], loudspeakers=[], sound_problem=""
)


def say(report: Report) -> None:
    sys.stdout.buffer.write(frame(report))
    sys.stdout.buffer.flush()


def main() -> None:
    """``deaf``: stay when told to go; ``crash``: die at a recording; ``babble``: say what is no message;
    ``other``: be of another version."""
    mood, frames, path = sys.argv[1], CommandFrames(), ""
    say(Ready(pid=os.getpid(), protocol=99 if mood == "other" else 1))
    if mood == "babble":
        sys.stdout.buffer.write(b"\x00\x00\x00\x04no!!")
        sys.stdout.buffer.flush()
    while data := os.read(0, 65536):
        for command in frames.feed(data):
            match command:
                case LookForDevices():
                    say(DEVICES)
                case OpenDevices(camera=camera):
                    say(Opened(camera=camera, light=Light(camera=True)))
                case StartRecording(path=path):
                    if mood == "crash":
                        Path(path).write_bytes(b"half")
                        sys.exit("the camera bit me")
                    light = Light(camera=True, recording=True)
                    say(Recording(path=path, seconds=0.0, frames=0, gaps=0, bytes=0, light=light))
                case StopRecording() | Quit():
                    if path:
                        Path(path).write_bytes(b"whole")
                        say(Recorded(path=path, seconds=1.0, frames=25, gaps=0, peak_dbfs=-20.0))
                        path = ""
                    if isinstance(command, Quit) and mood == "deaf":
                        time.sleep(60)
                    if isinstance(command, Quit):
                        return


main()

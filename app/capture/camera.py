"""A camera, or a video file in its place: pictures with the monotonic time at which each was taken."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import av
import cv2
import numpy
from numpy.typing import NDArray

from app.capture.messages import FILE_CAMERA
from engine.formats.errors import StudioError

__all__ = ["Camera", "FileCamera", "LiveCamera", "Picture", "Shot", "open_camera"]

Picture = NDArray[numpy.uint8]
WIDTH, HEIGHT, FPS = 640, 480, 30.0
"""What a camera is asked for: enough for a mouth of 96 pixels, and every one keeps its rate at it."""
DROPPED = 5
"""First pictures, which are dark or old."""
STALE = 0.5
"""Seconds by which a driver's own stamp may lie before the call's return to be believed."""
PATIENCE = 3.0
"""Seconds without a picture after which a camera is taken for gone."""
BEHIND = 1.0
"""Seconds by which a file may be late before it leaves pictures out, as a camera does on a busy machine."""


@dataclass(frozen=True)
class Shot:
    """``picture`` [H, W, 3] blue, green, red; ``time`` in monotonic seconds."""

    time: float
    picture: Picture


class Camera(Protocol):
    """``fps`` is what it says of itself."""

    name: str
    width: int
    height: int
    fps: float

    def read(self) -> Shot:
        """Wait for the next picture. StudioError when there will be none any more."""
        ...

    def close(self) -> None:
        """Let go of the device."""
        ...


def open_camera(id: str, name: str = "") -> Camera:
    """The camera that ``devices`` lists as ``id``, or the video file of a "file:PATH". StudioError says why
    it cannot be opened. May take seconds."""
    if id.startswith(FILE_CAMERA):
        return FileCamera(Path(id.removeprefix(FILE_CAMERA)))
    return LiveCamera(id, name or id)


class LiveCamera:
    """A device. Pictures are stamped when they are taken from the driver, or by the driver itself."""

    def __init__(self, id: str, name: str) -> None:
        self.name = name
        if Path(id).is_absolute() and not os.access(id, os.R_OK | os.W_OK):
            if not Path(id).exists():
                raise _gone(name)
            raise StudioError(
                "failed",
                f"The camera “{name}” may not be opened by you.",
                "Let your account use cameras (on Linux: add it to the group “video” and sign in again).",
            )
        api = cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY
        self._capture = cv2.VideoCapture(id if Path(id).is_absolute() else int(id), api)
        if not self._capture.isOpened():
            raise StudioError(
                "busy",
                f"The camera “{name}” cannot be opened.",
                "Close other programs that use it, allow this one to use cameras in the system's settings, "
                "and try again.",
            )
        for property, value in (
            (cv2.CAP_PROP_FRAME_WIDTH, WIDTH),
            (cv2.CAP_PROP_FRAME_HEIGHT, HEIGHT),
            (cv2.CAP_PROP_FPS, FPS),
            (cv2.CAP_PROP_BUFFERSIZE, 1),
        ):
            self._capture.set(property, value)
        try:
            for _ in range(DROPPED):
                shot = self.read()
        except StudioError:
            self.close()
            raise
        self.height, self.width = shot.picture.shape[:2]
        self.fps = float(self._capture.get(cv2.CAP_PROP_FPS))

    def read(self) -> Shot:
        deadline = time.monotonic() + PATIENCE
        while True:
            grabbed = self._capture.grab()
            stamp = time.monotonic()
            if grabbed:
                own = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000  # V4L2: monotonic time
                stamp = own if 0 <= stamp - own < STALE else stamp
                seen, picture = self._capture.retrieve()
                if seen and picture is not None:
                    return Shot(stamp, picture)
            if stamp > deadline:
                raise _gone(self.name)
            if not grabbed:
                time.sleep(0.02)

    def close(self) -> None:
        self._capture.release()


class FileCamera:
    """A video file in real time by its own timestamps, from its beginning again at its end."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path
        self._file: Any = None
        self._frames: Iterator[Any] = iter(())
        self._waiting: Any = None
        self._origin = 0.0
        self._step = 1 / FPS
        try:
            file = self._rewind()
            if not file.streams.video:
                raise StudioError("data", f"{path.name} has no pictures.", "Choose a video file.")
            self._waiting = next(self._frames)
        except (av.FFmpegError, OSError, StopIteration) as error:
            self.close()
            raise StudioError(
                "data",
                f"{path.name} cannot be shown as a video.",
                "Check that it plays elsewhere, or choose another file.",
                f"{type(error).__name__}: {error}",
            ) from error
        except StudioError:
            self.close()
            raise
        stream = file.streams.video[0]
        self.width, self.height = stream.width, stream.height
        self.fps = float(stream.average_rate or 0)
        self._first = float(self._waiting.time or 0.0)
        self._origin = time.monotonic() - self._first

    def read(self) -> Shot:
        while True:
            frame, due = self._next()
            late = time.monotonic() - due
            if late < BEHIND:
                time.sleep(max(0.0, -late))
                return Shot(due, frame.to_ndarray(format="bgr24"))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _next(self) -> tuple[Any, float]:
        """The next frame, and when it is to be shown."""
        frame = self._waiting
        due = self._origin + float(frame.time or 0.0)
        try:
            self._waiting = next(self._frames, None)
            if self._waiting is None:
                self._rewind()
                self._waiting = next(self._frames)
                self._origin = due + self._step - self._first
            else:
                self._step = float(self._waiting.time or 0.0) - float(frame.time or 0.0)
        except (av.FFmpegError, StopIteration) as error:
            raise _gone(self.name, f"{type(error).__name__}: {error}") from error
        return frame, due

    def _rewind(self) -> Any:
        """The file, open at its beginning."""
        self.close()
        file = self._file = av.open(str(self._path))
        self._frames = file.decode(video=0) if file.streams.video else iter(())
        return file


def _gone(name: str, detail: str = "") -> StudioError:
    return StudioError(
        "missing",
        f"The camera “{name}” is not there any more.",
        "Plug it in again, or choose another one.",
        detail,
    )

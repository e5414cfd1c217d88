"""Single pictures of a clip: of where its playing is, or for a person who marks the mouth in it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import av
import cv2

from app.capture.messages import Report, Show, Still
from app.capture.preview import QUALITY, WIDTH

__all__ = ["Stills"]

FORWARD = 2.0
"""Seconds that are read on rather than sought."""
ROUNDING = 1e-3


class Stills(threading.Thread):
    """Answers the newest ``show`` with a Still and forgets those before it. A clip stays open, so that one
    picture after another costs no more than its decoding."""

    def __init__(self, tell: Callable[[Report], None]) -> None:
        super().__init__(name="stills", daemon=True)
        self._tell = tell
        self._new = threading.Condition()
        self._wanted: Show | None = None
        self._closed = False
        self._path = ""
        self._file: Any = None
        self._frames: Iterator[Any] = iter(())
        self._frame: Any = None
        self._after: Any = None  # the one that is shown ends where this one begins
        self.start()

    def show(self, wanted: Show) -> None:
        with self._new:
            self._wanted = wanted
            self._new.notify()

    def close(self) -> None:
        """Answer nothing more."""
        with self._new:
            self._closed = True
            self._new.notify()
        self.join()

    def run(self) -> None:
        while True:
            with self._new:
                self._new.wait_for(lambda: self._closed or self._wanted is not None)
                wanted, self._wanted = self._wanted, None
                if self._closed:
                    break
            assert wanted is not None
            try:
                picture = self._picture(wanted)
            except (av.FFmpegError, OSError):
                picture = b""  # what is wrong with the file is told by whoever looks into the clip
                self._let_go()
            self._tell(Still(path=wanted.path, seconds=wanted.seconds, picture=picture))
        self._let_go()

    def _picture(self, wanted: Show) -> bytes:
        """The last picture that begins until then, else the first there is."""
        if wanted.path != self._path or self._file is None:
            self._let_go()
            self._file, self._path = av.open(wanted.path), wanted.path
        if not self._file.streams.video:
            return b""
        origin = float(self._file.start_time or 0) / av.time_base
        until = wanted.seconds + origin + ROUNDING
        now = None if self._frame is None else self._frame.time
        if now is None or not 0 <= until - now <= FORWARD:
            self._file.seek(max(0, round((wanted.seconds + origin) * av.time_base)))
            self._frames = (frame for frame in self._file.decode(video=0) if frame.time is not None)
            self._frame, self._after = next(self._frames, None), next(self._frames, None)
        while self._after is not None and self._after.time <= until:
            self._frame, self._after = self._after, next(self._frames, None)
        return b"" if self._frame is None else _jpeg(self._frame)

    def _let_go(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file, self._frame, self._after, self._path = None, None, None, ""


def _jpeg(frame: Any) -> bytes:
    width = min(WIDTH, frame.width)
    height = max(2, round(frame.height * width / frame.width))
    small = frame.reformat(width=width, height=height, format="bgr24").to_ndarray()
    written, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return bytes(data) if written else b""

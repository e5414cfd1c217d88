"""The small picture that is shown while a camera is open: where the mouth is, and what stands in the way."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

import cv2

from app.capture.camera import Picture, Shot
from app.capture.messages import Preview
from engine.messages import MouthPlace
from engine.speech.faces import Place
from engine.speech.light import warning
from engine.speech.mouth import Tracker, cut

__all__ = ["Previewer"]

WIDTH = 480
EVERY = 1 / 15
QUALITY = 70
FACELESS = 1.0
"""Seconds without a mouth that are not worth a word."""


class Previewer(threading.Thread):
    """Shows the newest picture, at most fifteen times a second, and forgets the others."""

    def __init__(self, show: Callable[[Preview], None]) -> None:
        super().__init__(name="preview", daemon=True)
        self._show = show
        self._new = threading.Condition()
        self._shot: Shot | None = None
        self._times: deque[float] = deque(maxlen=60)
        self._place: MouthPlace | None = None
        self._placed = True
        self._closed = False
        self._last_mouth = time.monotonic()
        self.start()

    def see(self, shot: Shot) -> None:
        """The newest picture."""
        with self._new:
            self._shot = shot
            self._times.append(shot.time)
            self._new.notify()

    def set_place(self, place: MouthPlace | None) -> None:
        """Follow the mouth from there, or search a face."""
        with self._new:
            self._place, self._placed = place, True

    def close(self) -> None:
        """Show nothing more."""
        with self._new:
            self._closed = True
            self._new.notify()
        self.join()

    def run(self) -> None:
        tracker = Tracker()
        while True:
            with self._new:
                self._new.wait_for(lambda: self._closed or self._shot is not None)
                if self._closed:
                    return
                shot, self._shot = self._shot, None
                placed, self._placed = self._placed, False
                place, fps = self._place, self._rate()
            assert shot is not None
            began = time.monotonic()
            if placed:
                width = shot.picture.shape[1]
                tracker = Tracker(
                    None if place is None else Place(place.x * width, place.y * width, place.side * width)
                )
            self._show(self._looked(shot, tracker, fps))
            time.sleep(max(0.0, began + EVERY - time.monotonic()))

    def _looked(self, shot: Shot, tracker: Tracker, fps: float) -> Preview:
        height, width = shot.picture.shape[:2]
        grey = cv2.cvtColor(shot.picture, cv2.COLOR_BGR2GRAY)
        place = tracker.see(grey)
        scale = min(1.0, WIDTH / width)
        size = (round(width * scale), round(height * scale))
        small = cv2.resize(shot.picture, size, interpolation=cv2.INTER_AREA) if scale < 1 else shot.picture
        return Preview(
            picture=_file(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY]),
            width=size[0],
            height=size[1],
            time=shot.time,
            place=None
            if place is None
            else MouthPlace(x=place.x / width, y=place.y / width, side=place.side / width),
            mouth=b"" if place is None else _file(".png", cut(grey, place), [cv2.IMWRITE_PNG_COMPRESSION, 1]),
            warning="" if self._blinked(place, shot.time) else warning(grey, place),
            fps=fps,
        )

    def _blinked(self, place: Place | None, now: float) -> bool:
        """Whether the mouth is only just lost."""
        if place is not None:
            self._last_mouth = now
        return place is None and now - self._last_mouth < FACELESS

    def _rate(self) -> float:
        """Pictures a second, of the newest two seconds."""
        times = list(self._times)
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else 0.0


def _file(kind: str, picture: Picture, options: list[int]) -> bytes:
    written, data = cv2.imencode(kind, picture, options)
    if not written:
        raise ValueError(f"OpenCV writes no {kind} file")
    return bytes(data)

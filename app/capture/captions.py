"""Live captions: what is said, cut at its pauses into clips of their own while it is being said."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from app.capture.camera import Camera, Shot
from app.capture.messages import Report, Segment, Speaking, Trouble
from app.capture.microphone import Microphone, Sound
from app.capture.phrases import Began, Ceased, Phrases
from app.capture.take import Take
from engine.formats.errors import StudioError
from engine.formats.files import explain_os_error

__all__ = ["Captions"]

LEAD = 0.15
"""Seconds before the first loud hop that belong to a stretch."""
REMEMBERED = 0.6
"""Seconds of sound and pictures that are kept, since speech is known only when it has begun."""


class Captions:
    """Clips go into ``folder``; ``tell`` hears Speaking, Segment and, where it cannot, Trouble."""

    def __init__(
        self, folder: Path, microphone: Microphone, offset: float, tell: Callable[[Report], None]
    ) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explain_os_error(error, "cutting captions") from error
        self._folder, self._microphone, self._offset, self._tell = folder, microphone, offset, tell
        self.camera: Camera | None = None
        self._began = 0
        self._phrases: Phrases | None = None
        self._sounds: deque[tuple[int, Sound]] = deque()
        self._shots: deque[Shot] = deque()
        self._take: Take | None = None
        self._start = 0
        self._closed = False
        self._lock = threading.Lock()
        self._closing: list[threading.Thread] = []

    def hear(self, first: int, samples: Sound) -> None:
        """A block of the microphone."""
        with self._lock:
            if self._closed:
                return
            if self._phrases is None:
                self._began = first
                self._phrases = Phrases(self._microphone.rate, first)
            self._sounds.append((first, samples))
            while self._sounds[0][0] < first - REMEMBERED * self._microphone.rate:
                self._sounds.popleft()
            if self._take is not None:
                self._take.hear(first, samples)
            for event in self._phrases.hear(samples):
                self._turn(event)

    def see(self, shot: Shot) -> None:
        """A picture of the camera."""
        with self._lock:
            self._shots.append(shot)
            while self._shots[0].time < shot.time - REMEMBERED:
                self._shots.popleft()
            if self._take is not None:
                self._take.see(shot)

    def close(self) -> None:
        """Cut what is being said here, and wait until it is written."""
        with self._lock:
            self._closed = True
            event = self._phrases.cease() if self._phrases else None
            if event is not None:
                self._turn(event)
        for thread in self._closing:
            thread.join()

    def _turn(self, event: Began | Ceased) -> None:
        self._tell(Speaking(speaking=isinstance(event, Began)))
        if isinstance(event, Began):
            self._open(event.start)
        elif self._take is not None:
            take, self._take = self._take, None
            self._closing = [thread for thread in self._closing if thread.is_alive()]
            self._closing.append(
                threading.Thread(target=self._keep, args=(take, self._start, event), name="caption")
            )
            self._closing[-1].start()

    def _open(self, start: int) -> None:
        rate = self._microphone.rate
        earliest = self._sounds[0][0]
        self._start = start
        first = max(earliest, start - round(LEAD * rate))
        path = self._folder / f"caption-{time.time_ns() // 1_000_000}.mkv"
        try:
            self._take = Take(
                path, self._microphone, self.camera, first=first, offset=self._offset, with_sidecar=False
            )
        except StudioError as error:
            self._tell(Trouble(about="captions", error=error.as_message()))
            return
        for number, samples in self._sounds:
            self._take.hear(number, samples)
        for shot in self._shots:
            self._take.see(shot)

    def _keep(self, take: Take, start: int, event: Ceased) -> None:
        kept = take.finish()
        if kept.trouble is not None:
            self._tell(Trouble(about="captions", error=kept.trouble.as_message()))
        elif not event.worth:
            take.discard()
        else:
            rate = self._microphone.rate
            begin, end = (start - self._began) / rate, (event.end - self._began) / rate
            self._tell(Segment(path=str(take.path), start=begin, end=end))

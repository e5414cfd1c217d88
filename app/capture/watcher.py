"""The thread that holds a camera: opens it, passes its pictures on, and always lets go of it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from app.capture.camera import Camera, Shot, open_camera
from engine.formats.errors import StudioError, unexpected

__all__ = ["Watcher"]


class Watcher(threading.Thread):
    """``opened(watcher)`` is called when there are pictures, ``seen(shot)`` for each, and
    ``gone(watcher, error)`` once if the camera cannot be opened or ends by itself; all in this thread. While
    it lives, the camera may be on. ``began`` is the time of the first picture."""

    def __init__(
        self,
        id: str,
        name: str,
        opened: Callable[[Watcher], None],
        seen: Callable[[Shot], None],
        gone: Callable[[Watcher, StudioError], None],
    ) -> None:
        super().__init__(name="camera", daemon=True)
        self.id, self.name_shown = id, name
        self.camera: Camera | None = None
        self.began = 0.0
        self._opened, self._seen, self._gone = opened, seen, gone
        self._closing = threading.Event()
        self.start()

    def close(self, seconds: float = 5.0) -> None:
        """Let go of the camera; returns when it is off, or after so many seconds if its driver hangs."""
        self._closing.set()
        if threading.current_thread() is not self:
            self.join(seconds)

    def run(self) -> None:
        try:
            self._watch()
        except StudioError as error:
            if not self._closing.is_set():
                self._gone(self, error)
        except Exception as error:  # noqa: BLE001  # told as a sentence with its details
            self._gone(self, unexpected(error))

    def _watch(self) -> None:
        camera = open_camera(self.id, self.name_shown)
        try:
            shot = camera.read()
            self.camera, self.began = camera, shot.time
            self._opened(self)
            while not self._closing.is_set():
                self._seen(shot)
                shot = camera.read()
        finally:
            camera.close()

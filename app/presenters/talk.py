"""One key for two ways to record: a tap starts and stops, a hold records as long as it is held."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.presenters.capture import Capture

__all__ = ["Talk"]

HOLD_S = 0.4


class Talk:
    """``press`` and ``release`` are a key's, or a button's."""

    def __init__(self, capture: Capture, clock: Callable[[], float] = time.monotonic) -> None:
        self._capture = capture
        self._clock = clock
        self._since: float | None = None

    def press(self) -> None:
        """Record; or, while something is recorded, end it."""
        if self._capture.records:
            self._since = None
            self._capture.stop()
        else:
            self._since = self._clock()
            self._capture.record()

    def release(self) -> None:
        """End what was recorded while the key was held; a tap lets it run."""
        since, self._since = self._since, None
        if since is not None and self._clock() - since >= HOLD_S:
            self._capture.stop()

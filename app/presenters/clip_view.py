"""The picture of the chosen clip at the place where its playing is."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from app.capture.messages import Report, Show, Still
from app.presenters.capture_process import CaptureProcess
from app.presenters.clips import Clips
from app.presenters.playback import Playback
from engine.messages import Error

__all__ = ["ClipView"]

CLOSE_S = 0.02
BEGINNING_S = 0.1


class ClipView(QObject):
    """``picture`` is a JPEG, b"" without one. One picture is asked for at a time, so that a slow machine
    shows fewer of them and none late; while at ``rest``, none. ``changed``: another picture."""

    changed = Signal()

    def __init__(
        self, process: CaptureProcess, clips: Clips, playback: Playback, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._process = process
        self._clips = clips
        self._playback = playback
        self._is_awake = False
        self._asked: tuple[str, float] | None = None
        self._shown: tuple[str, float] | None = None
        self.picture = b""
        process.reported.connect(self._hear)
        process.ended.connect(self._lost)
        clips.changed.connect(self._follow)
        playback.moved.connect(self._follow)

    @property
    def is_at_beginning(self) -> bool:
        """Whether the picture is the first one, in which a person marks the mouth."""
        return bool(self.picture) and self._shown is not None and self._shown[1] < BEGINNING_S

    def wake(self) -> None:
        """The page is shown."""
        self._is_awake = True
        self._follow()

    def rest(self) -> None:
        """The page is left: what was asked will not be answered any more."""
        self._is_awake = False
        self._asked = self._shown = None

    def _follow(self) -> None:
        card, path = self._clips.state.card, self._clips.state.current
        if self._shown is not None and self._shown[0] != path:
            self.picture, self._shown = b"", None
            self.changed.emit()
        if card is None or not card.pictures or not self._is_awake:
            return
        wanted = path, self._playback.state.seconds
        is_there = self._shown is not None and abs(self._shown[1] - wanted[1]) < CLOSE_S
        if self._asked is None and not is_there:
            self._asked = wanted
            self._process.send(Show(path=path, seconds=wanted[1]))

    def _hear(self, report: Report) -> None:
        if isinstance(report, Still):
            asked, self._asked = self._asked, None
            if asked == (report.path, report.seconds) and report.path == self._clips.state.current:
                self._shown = asked
                self.picture = report.picture
                self.changed.emit()
            self._follow()

    def _lost(self, error: Error) -> None:
        self._asked = None

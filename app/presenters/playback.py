"""Playing the chosen clip, with the noise that is under it: where it is, and going elsewhere in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from PySide6.QtCore import QObject, Signal, SignalInstance

from app.capture.messages import Play, Played, Position, Report, Seek, StopPlaying
from app.presenters.capture_process import CaptureProcess
from app.presenters.clips import Clips
from app.presenters.presenter import Presenter
from engine.messages import Error

__all__ = ["Playback", "PlaybackState"]

AT_END = 0.05


class Sounding(Protocol):
    """Whoever knows what is heard in the place of the clip's own sound."""

    sounded: SignalInstance

    def sound(self, done: Callable[[str], None]) -> None: ...


@dataclass(frozen=True)
class PlaybackState:
    """``seconds`` is the position, ``length`` the clip's. ``silent``: it plays without a loudspeaker."""

    path: str = ""
    seconds: float = 0.0
    length: float = 0.0
    playing: bool = False
    silent: bool = False


class Playback(Presenter[PlaybackState]):
    """``changed``: another state; ``moved(seconds)``: the position, many times a second while it plays."""

    moved = Signal(float)

    def __init__(
        self, process: CaptureProcess, clips: Clips, sounding: Sounding, parent: QObject | None = None
    ) -> None:
        super().__init__(PlaybackState(), parent)
        self._process = process
        self._clips = clips
        self._sounding = sounding
        self._is_stopped = True
        self._end: float | None = None
        process.reported.connect(self._hear)
        process.ended.connect(self._lost)
        clips.changed.connect(self._follow)
        sounding.sounded.connect(self._sound_changed)
        self._follow()

    # --- verbs ---

    def toggle(self) -> None:
        """Play on, or pause."""
        if self.state.playing:
            self.pause()
        else:
            self.play()

    def play(self, start: float | None = None, end: float | None = None) -> None:
        """Play from ``start`` (None: where it is; from the beginning at its end) to ``end`` (None: its
        end)."""
        if not self.state.path or self.state.length <= 0:
            return
        here = self.state.seconds if start is None else start
        if here >= self.state.length - AT_END:
            here = 0.0
        self._end, self._is_stopped = end, False
        self._move(here)
        self._set(playing=True)
        self._sound()

    def pause(self) -> None:
        self._is_stopped = True
        if self.state.playing:
            self._set(playing=False)
            self._process.send(StopPlaying())

    def seek(self, seconds: float) -> None:
        """Go to a place, playing on if it plays."""
        seconds = min(self.state.length, max(0.0, seconds))
        self._move(seconds)
        if self.state.playing:
            self._process.send(Seek(seconds=seconds))

    # --- inside ---

    def _sound(self) -> None:
        path, end = self.state.path, self._end

        def begin(sound: str) -> None:
            if path == self.state.path and not self._is_stopped:
                self._process.send(Play(path=path, sound=sound, start=self.state.seconds, end=end))

        self._sounding.sound(begin)

    def _sound_changed(self) -> None:
        if self.state.playing:
            self._sound()

    def _hear(self, report: Report) -> None:
        match report:
            case Position(path=path, seconds=seconds, silent=silent) if path == self.state.path:
                if not self._is_stopped:
                    self._set(playing=True, silent=silent)
                    self._move(seconds)
            case Played(path=path, seconds=seconds) if path == self.state.path:
                if not self._is_stopped:
                    self._move(seconds)
                self._set(playing=False)

    def _lost(self, error: Error) -> None:
        self._is_stopped = True
        self._set(playing=False)

    def _follow(self) -> None:
        """The clip that is chosen, as far as it is known."""
        clips = self._clips.state
        length = clips.card.seconds if clips.card is not None else 0.0
        if clips.current != self.state.path:
            self.pause()
            self._set(path=clips.current, seconds=0.0, length=length, silent=False)
            self.moved.emit(0.0)
        elif length:
            self._set(length=length)

    def _move(self, seconds: float) -> None:
        if seconds != self.state.seconds:
            self.state = replace(self.state, seconds=seconds)
            self.moved.emit(seconds)

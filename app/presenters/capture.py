"""Camera, microphone and loudspeaker: the process that holds them, and what it says of them."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QObject, QSettings, Signal

__all__ = ["Capture", "CaptureState", "Device"]


@dataclass(frozen=True)
class Device:
    """A camera or a microphone: ``id`` is what it is asked for by, ``name`` what a person calls it."""

    id: str
    name: str


@dataclass(frozen=True)
class CaptureState:
    """``open``: a device is; ``recording`` since ``seconds``; ``level`` the loudness of the last moment in
    dBFS (None without a microphone). ``trouble`` is a sentence where something is missing or went wrong,
    ``hint`` its next step."""

    cameras: tuple[Device, ...] = ()
    microphones: tuple[Device, ...] = ()
    camera: str = ""
    microphone: str = ""
    open: bool = False
    recording: bool = False
    seconds: float = 0.0
    level: float | None = None
    trouble: str = ""
    hint: str = ""


class Capture(QObject):
    """``changed``: another state; ``previewed(image)``: the newest picture as bytes; ``recorded(path)``: a
    recording is whole on the disk; ``segment(path, start, end)``: somebody spoke from ``start`` to ``end``
    seconds of the growing file ``path`` and paused, which live captions read; ``noticed(Notice)``."""

    changed = Signal()
    previewed = Signal(bytes)
    recorded = Signal(str)
    segment = Signal(str, float, float)
    noticed = Signal(object)

    def __init__(self, settings: QSettings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self.state = CaptureState()

    def open(self) -> None:
        """Open the chosen devices."""

    def close(self) -> None:
        """Close every device and end the process."""

    def record(self) -> None:
        """Begin a recording."""

    def stop(self) -> None:
        """End the recording; ``recorded`` says where it is."""

    def listen(self, *, live: bool) -> None:
        """Tell of ``segment``s, for live captions, or no longer."""

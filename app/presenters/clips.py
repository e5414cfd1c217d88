"""The clips of the speech page: those that come with the studio, recordings, and files a person brought."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QObject, QSettings, Signal

from app.client import Client
from engine.messages import ClipCard, MouthPlace

__all__ = ["ClipItem", "Clips", "ClipsState", "Origin"]

Origin = Literal["example", "recording", "file"]


@dataclass(frozen=True)
class ClipItem:
    """A clip on the shelf. ``seconds`` is 0 until somebody looked into it; ``text`` is what is said in it, as
    far as a person told; ``problem`` a sentence where the file cannot be used."""

    path: str
    title: str
    origin: Origin
    seconds: float = 0.0
    text: str = ""
    problem: str = ""


@dataclass(frozen=True)
class ClipsState:
    """``current`` is the path of the chosen clip or "", ``card`` what is in it (None until it is known),
    ``place`` where a person says that its mouth is (None: a face is searched)."""

    clips: tuple[ClipItem, ...] = ()
    current: str = ""
    card: ClipCard | None = None
    place: MouthPlace | None = None

    @property
    def item(self) -> ClipItem | None:
        """The chosen clip."""
        return next((clip for clip in self.clips if clip.path == self.current), None)


class Clips(QObject):
    """``changed``: another state; ``chosen(path)``: another clip, or "" for none; ``noticed(Notice)``;
    ``announced(sentence)``: for those who listen."""

    changed = Signal()
    chosen = Signal(str)
    noticed = Signal(object)
    announced = Signal(str)

    def __init__(self, client: Client, settings: QSettings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._client = client
        self._settings = settings
        self.state = ClipsState()

    def add(self, path: str) -> None:
        """Put a file onto the shelf and choose it."""

    def choose(self, path: str) -> None:
        """Another clip of the shelf; "" for none."""

    def remove(self, path: str) -> None:
        """Take a clip off the shelf; a recording goes to the trash. ``undo`` brings it back."""

    def undo(self) -> None:
        """Bring back what was removed last."""

    def set_reference(self, path: str, text: str) -> None:
        """What is said in a clip, as a person knows it."""

    def set_place(self, place: MouthPlace | None) -> None:
        """Where the mouth of the chosen clip is; None lets a face be searched."""

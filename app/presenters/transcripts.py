"""What is understood of the chosen clip: by ear, by eye and by both, at chosen rates and noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.client import Client
from app.presenters.speech_models import SpeechLibrary

__all__ = ["Transcripts"]


class Transcripts(QObject):
    """``sounded``: the noise that is heard when a clip is played has changed; ask ``sound`` again."""

    changed = Signal()
    sounded = Signal()
    noticed = Signal(object)
    announced = Signal(str)

    def __init__(
        self, client: Client, clips: Any, models: SpeechLibrary, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._client = client
        self._clips = clips
        self.models = models

    def sound(self, done: Callable[[str], None]) -> None:
        """Hand ``done`` the WAV of the chosen clip with the noise under it; "" where there is none."""
        done("")

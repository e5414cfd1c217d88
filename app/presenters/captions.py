"""Live captions: what somebody says, written as soon as they pause."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, Signal

from app.client import Client
from app.presenters.speech_models import SpeechLibrary

__all__ = ["Captions"]


class Captions(QObject):
    changed = Signal()
    noticed = Signal(object)
    announced = Signal(str)

    def __init__(
        self, client: Client, capture: Any, models: SpeechLibrary, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._client = client

"""The models that transcribe: what there is, which one is chosen, and how another one comes in."""

from __future__ import annotations

from PySide6.QtCore import QObject, QSettings, Signal

from app.client import Client

__all__ = ["SpeechLibrary"]


class SpeechLibrary(QObject):
    changed = Signal()
    noticed = Signal(object)
    announced = Signal(str)

    def __init__(self, client: Client, settings: QSettings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._client = client
        self._settings = settings

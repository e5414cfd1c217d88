"""Which model listens, and the ways to another one."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from app.presenters.speech_models import SpeechLibrary

__all__ = ["ModelBar"]


class ModelBar(QWidget):
    def __init__(self, models: SpeechLibrary, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._models = models
        self.setObjectName("speech.models")

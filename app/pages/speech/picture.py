"""Error against noise, a point for each transcription."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from app.presenters.transcripts import Transcripts

__all__ = ["NoisePicture"]


class NoisePicture(QWidget):
    def __init__(self, transcripts: Transcripts, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._transcripts = transcripts
        self.setObjectName("speech.picture")

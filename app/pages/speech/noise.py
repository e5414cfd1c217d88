"""A fader that puts babble under the sound."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from app.presenters.transcripts import Transcripts

__all__ = ["NoiseFader"]


class NoiseFader(QWidget):
    """In dB; off at its top."""

    def __init__(self, transcripts: Transcripts, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._transcripts = transcripts
        self.setObjectName("speech.noise")

"""Ears, eyes, both: what was said, word under word in time."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from app.presenters.transcripts import Transcripts

__all__ = ["SpeechColumns"]


class SpeechColumns(QWidget):
    """``sought(seconds)``: a word was clicked."""

    sought = Signal(float)

    def __init__(self, transcripts: Transcripts, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._transcripts = transcripts
        self.setObjectName("speech.columns")

    def show_position(self, seconds: float) -> None:
        """Mark the words that are being said at ``seconds`` of the clip."""

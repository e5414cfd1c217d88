"""Copy the words, or keep them as a file."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from app.presenters.transcripts import Transcripts

__all__ = ["ExportBar"]


class ExportBar(QWidget):
    """TXT, SRT, VTT and JSON."""

    def __init__(self, transcripts: Transcripts, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._transcripts = transcripts
        self.setObjectName("speech.export")

"""How coarsely sound and lips are read, and what that costs."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from app.presenters.transcripts import Transcripts

__all__ = ["RatesBar"]


class RatesBar(QWidget):
    """Only rates that were trained."""

    def __init__(self, transcripts: Transcripts, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._transcripts = transcripts
        self.setObjectName("speech.rates")

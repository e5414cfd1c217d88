"""A small window with what is being said, in large letters."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from app.presenters.captions import Captions

__all__ = ["CaptionsWindow"]


class CaptionsWindow(QWidget):
    def __init__(self, captions: Captions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._captions = captions
        self.setObjectName("speech.captions")

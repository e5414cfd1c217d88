"""The button that starts and stops a recording; whoever holds it down talks as long as it is held."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QPushButton, QSizePolicy, QWidget

from widgets.theme import icon, theme

__all__ = ["RecordButton"]

HOW = "Press to record and again to stop, or hold to record as long as you talk. The space bar does the same."


class RecordButton(QPushButton):
    """Its own ``pressed`` and ``released`` say what a hand does; ``show_recording`` says what is."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._is_recording = False
        self.setObjectName(name)
        self.setToolTip(HOW)
        self.setIconSize(QSize(16, 16))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self._tint)
        self.show_recording(False)

    def show_recording(self, recording: bool) -> None:
        """Offer to stop what runs, or to record."""
        self._is_recording = recording
        self.setText("Stop" if recording else "Record")
        self.setAccessibleName("Stop recording" if recording else "Record")
        self._tint()

    def _tint(self) -> None:
        self.setIcon(icon("stop" if self._is_recording else "record", "bad"))

"""Clips that wait to be transcribed: one line with where it is, shown while there is something to say."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QWidget

from app.presenters.clip_queue import ClipQueue

__all__ = ["QueueLine"]

PARTS = 1000


class QueueLine(QWidget):
    def __init__(self, queue: ClipQueue, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._queue = queue
        self.setObjectName("speech.queue")
        self._words = QLabel(objectName="speech.queue.words", wordWrap=True)
        self._words.setProperty("role", "dim")
        self.progress = QProgressBar(
            objectName="speech.queue.progress", accessibleName="Progress of the queue", textVisible=False
        )
        self.progress.setMaximumWidth(240)
        self.end = QPushButton("Cancel", objectName="speech.queue.end")
        self.end.clicked.connect(queue.cancel)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        row.addWidget(self._words, 1)
        row.addWidget(self.progress, 1)
        row.addWidget(self.end)
        queue.changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        state = self._queue.state
        self.setVisible(bool(state.total))
        self._words.setText(self._queue.sentence)
        within = state.until / state.seconds if state.seconds else 0.0
        self.progress.setRange(0, max(1, state.total) * PARTS)
        self.progress.setValue(round((state.done + within) * PARTS))
        self.progress.setAccessibleDescription(self._queue.sentence)
        self.progress.setVisible(state.is_open)
        words = "Cancel" if state.is_open else "Dismiss"
        self.end.setText(words)
        self.end.setAccessibleName(f"{words} the queue")

"""The status line: the engine in words, its device and memory, and the work that is going on."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar, QWidget

from widgets.icon_button import IconButton

__all__ = ["StatusLine"]


class StatusLine(QFrame):
    """Signals: ``engine_pressed`` and ``job_pressed``."""

    engine_pressed = Signal()
    job_pressed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("status-line")
        self.setProperty("role", "bar")
        self.setFixedHeight(36)
        self._engine = self._button("waiting", "Starting the engine", "status-engine")
        self._engine.clicked.connect(self.engine_pressed)
        self._device = QLabel(self, objectName="status-device")
        self._memory = QLabel(self, objectName="status-memory")
        self._job = self._button("activity", "Nothing is running", "status-job")
        self._job.clicked.connect(self.job_pressed)
        self._bar = QProgressBar(self, objectName="status-progress", textVisible=False)
        self._bar.setAccessibleName("Progress of the running job")
        self._bar.setFixedWidth(120)
        self._left = QLabel(self, objectName="status-left")
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 0, 16, 0)
        row.setSpacing(16)
        for widget in (self._engine, self._device, self._memory):
            row.addWidget(widget)
        row.addStretch(1)
        for widget in (self._job, self._bar, self._left):
            row.addWidget(widget)
        for label in (self._device, self._memory, self._left):
            label.setProperty("role", "dim")
        self.show_job("", 0.0, "")

    def show_engine(self, drawing: str, token: str, words: str, device: str, memory: str) -> None:
        """``drawing`` and ``token`` are the mark and its colour; ``words`` say the same for everyone."""
        self._engine.draw(drawing, token)
        _name(self._engine, words)
        for label, text in ((self._device, device), (self._memory, memory)):
            label.setText(text)
            label.setVisible(bool(text))

    def show_job(self, words: str, share: float, left: str) -> None:
        """The running job: its name, ``share`` done in 0..1 and the time left. Empty words: nothing runs."""
        _name(self._job, words or "Nothing is running")
        self._bar.setVisible(bool(words))
        self._left.setVisible(bool(words))
        self._bar.setRange(0, 1000)
        self._bar.setValue(round(share * 1000))
        self._left.setText(left)

    def _button(self, drawing: str, words: str, name: str) -> IconButton:
        button = IconButton(drawing, words, name, self)
        button.setText(words)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setIconSize(QSize(16, 16))
        return button


def _name(button: IconButton, words: str) -> None:
    if button.text() != words:
        button.setText(words)
        button.setAccessibleName(words)
        button.setToolTip(f"{words}. Press to see the activity.")

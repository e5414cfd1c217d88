"""The foot of the router panel: the button that trains, or the training while it runs."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.presenters.mixer import Mixer
from app.words import duration
from engine.messages import Job
from widgets.verdict import Verdict

__all__ = ["TrainingBox"]

WAITING = {"queued": "Waiting for its turn", "paused": "Paused", "held": "Held after three crashes"}


class TrainingBox(QWidget):
    """``train`` begins; ``pause``, ``keep`` and ``cancel`` steer what runs."""

    def __init__(self, mixer: Mixer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mixer = mixer
        self._why = QLabel(objectName="mixer.router.why", wordWrap=True)
        self._why.setProperty("role", "tiny")
        self.train = QPushButton("Train router", objectName="mixer.router.train")
        self.train.setProperty("role", "primary")
        self._collapse = Verdict(self)
        self._collapse.setObjectName("mixer.router.collapse")
        self.progress = QProgressBar(
            objectName="mixer.router.progress", accessibleName="Training progress", textVisible=False
        )
        self._share = QLabel(objectName="mixer.router.share")
        self._left = QLabel(alignment=Qt.AlignmentFlag.AlignRight)
        self._left.setProperty("role", "dim")
        self.pause = QPushButton("Pause", objectName="mixer.router.pause")
        self.keep = QPushButton("Stop and keep", objectName="mixer.router.keep")
        self.cancel = QPushButton("Discard", objectName="mixer.router.cancel")
        self.keep.setToolTip("End the training here and play what the router has learned")
        self.cancel.setToolTip("End the training and forget it")
        self._compose()
        self.pause.clicked.connect(self._pause)
        self.keep.clicked.connect(mixer.training.stop_and_keep)
        self.cancel.clicked.connect(mixer.training.cancel)
        mixer.desk_changed.connect(self._show)
        mixer.training.changed.connect(self._show)
        self._show()

    def _compose(self) -> None:
        self._running = QWidget()
        words = QHBoxLayout()
        words.addWidget(self._share)
        words.addWidget(self._left, 1)
        buttons = QGridLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.pause, 0, 0)
        buttons.addWidget(self.cancel, 0, 1)
        buttons.addWidget(self.keep, 1, 0, 1, 2)
        running = QVBoxLayout(self._running)
        running.setContentsMargins(0, 0, 0, 0)
        running.setSpacing(8)
        running.addLayout(words)
        running.addWidget(self.progress)
        running.addLayout(buttons)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        for part in (self._why, self._collapse, self.train, self._running):
            column.addWidget(part)

    def _show(self) -> None:
        training = self._mixer.training
        why = self._mixer.why_not_train
        had_focus = self.train.hasFocus()
        self.train.setEnabled(not why)
        self.train.setVisible(not training.is_open)
        self._running.setVisible(training.is_open)
        if had_focus and training.is_open:
            self.pause.setFocus(Qt.FocusReason.OtherFocusReason)
        self._why.setText(why or self._mixer.playing.sentence)
        self._why.setVisible(not training.is_open and bool(self._why.text()))
        self._collapse.setVisible(bool(training.collapse))
        if training.collapse:
            self._collapse.say("warn", training.collapse)
        if training.job is not None and training.is_open:
            self._show_job(training.job)

    def _show_job(self, job: Job) -> None:
        self.pause.setText("Resume" if job.state in ("paused", "held") else "Pause")
        self.pause.setEnabled(job.state != "queued")
        self.progress.setRange(0, max(1, job.steps))
        self.progress.setValue(job.step)
        share = f"{job.step / job.steps:.0%}" if job.steps else ""
        self._share.setText(WAITING.get(job.state) or f"{job.name}  {share}".strip())
        self._left.setText(
            f"{duration(job.seconds_left)} left"
            if job.seconds_left is not None and job.state == "running"
            else f"{job.step:,} of {job.steps:,}"
            if job.steps
            else job.message
        )
        self.progress.setAccessibleDescription(f"{self._share.text()}, {self._left.text()}")

    def _pause(self) -> None:
        job = self._mixer.training.job
        if job is not None and job.state in ("paused", "held"):
            self._mixer.training.resume()
        else:
            self._mixer.training.pause()

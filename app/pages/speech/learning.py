"""A training of speech as it goes: its verbs, its progress, its loss, its word errors by each sense."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from app.pages.mixer.fields import heading
from app.pages.speech.senses import HUES
from app.presenters.speech_training import SpeechTraining
from app.presenters.transcript_columns import MODES, SENSES
from app.words import duration, percent
from engine.messages import Job
from widgets.curve_plot import CurvePlot
from widgets.verdict import Verdict

__all__ = ["SpeechLearning"]

WAITING = {"queued": "Waiting for its turn", "paused": "Paused", "held": "Held after three crashes"}


class SpeechLearning(QWidget):
    """``pause``, ``keep`` and ``cancel`` steer what runs; ``retry`` goes on where it failed."""

    def __init__(self, training: SpeechTraining, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._training = training
        self.setObjectName("speech.learning")
        self._title = heading("")
        self._state = QLabel(objectName="speech.learning.state")
        self.progress = QProgressBar(
            objectName="speech.learning.progress", accessibleName="Training progress", textVisible=False
        )
        self.pause = QPushButton("Pause", objectName="speech.learning.pause")
        self.keep = QPushButton("Stop and keep", objectName="speech.learning.keep")
        self.cancel = QPushButton("Discard", objectName="speech.learning.cancel")
        self.retry = QPushButton("Go on from the last checkpoint", objectName="speech.learning.retry")
        self._trouble = Verdict()
        self.loss = CurvePlot("Loss", "nats by step")
        self.errors = CurvePlot("Words wrong", "share of words, by step", floor=0.0)
        self.loss.setObjectName("speech.learning.loss")
        self.errors.setObjectName("speech.learning.errors")
        self.errors.set_hues({SENSES[mode]: HUES[mode] for mode in MODES})
        self._compose()
        self._connect()
        self._replace()
        self._show()

    def _compose(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        for button in (self.pause, self.keep, self.cancel):
            buttons.addWidget(button)
        buttons.addStretch(1)
        self._running = QWidget()
        running = QVBoxLayout(self._running)
        running.setContentsMargins(0, 0, 0, 0)
        running.setSpacing(8)
        running.addWidget(self._state)
        running.addWidget(self.progress)
        running.addLayout(buttons)
        curves = QHBoxLayout()
        curves.setSpacing(16)
        curves.addWidget(self.loss, 1)
        curves.addWidget(self.errors, 1)
        self.loss.setMinimumHeight(160)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        for part in (self._title, self._running, self._trouble, self.retry):
            column.addWidget(part)
        column.addLayout(curves, 1)

    def _connect(self) -> None:
        training = self._training
        self.pause.clicked.connect(self._pause)
        self.keep.clicked.connect(training.stop_and_keep)
        self.cancel.clicked.connect(lambda: training.cancel())
        self.retry.clicked.connect(training.resume)
        training.changed.connect(self._show)
        training.curve_grew.connect(self._grow)
        training.curve_replaced.connect(self._replace)

    def _grow(self, step: int, metrics: dict[str, float]) -> None:
        for mode in MODES:
            if (share := metrics.get(f"wer {mode}")) is not None:
                self.errors.append(SENSES[mode], step, share)
        if "loss" in metrics:
            self.loss.append("loss", step, metrics["loss"])

    def _replace(self) -> None:
        self.loss.clear()
        self.errors.clear()
        for name, points in self._training.curve.items():
            for step, value in points:
                self._grow(step, {name: value})

    def _show(self) -> None:
        training, job = self._training, self._training.job
        self.setVisible(job is not None)
        if job is None:
            return
        self._title.setText(job.name)
        self._running.setVisible(training.is_open)
        self._trouble.setVisible(not training.is_open)
        self.retry.setVisible(job.state == "failed")
        if training.is_open:
            self._show_progress(job)
        elif job.state == "failed" and job.error is not None:
            self._trouble.say("bad", f"{job.error.message} {job.error.hint}".strip())
        elif job.state == "done":
            self._trouble.say("good", f"Trained in {duration(job.seconds)}, {job.step:,} steps.")
        else:
            self._trouble.say("text_dim", f"Discarded after {job.step:,} of {job.steps:,} steps.")

    def _show_progress(self, job: Job) -> None:
        self.pause.setText("Resume" if job.state in ("paused", "held") else "Pause")
        self.pause.setEnabled(job.state != "queued")
        self.progress.setRange(0, max(1, job.steps))
        self.progress.setValue(job.step)
        share = percent(job.step / job.steps) if job.steps else "Starting"
        left = f", {duration(job.seconds_left)} left" if job.seconds_left is not None else ""
        message = f"  {job.message}" if job.message else ""
        self._state.setText((WAITING.get(job.state) or share + left) + message)
        self.progress.setAccessibleDescription(self._state.text())

    def _pause(self) -> None:
        job = self._training.job
        if job is not None and job.state in ("paused", "held"):
            self._training.resume()
        else:
            self._training.pause()

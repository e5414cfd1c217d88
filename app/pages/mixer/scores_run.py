"""The foot of the score page's plan: what scoring costs and the button, or the scoring while it runs."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from app.presenters.scores import Scores
from app.words import duration
from engine.messages import Job

__all__ = ["RunBox"]

WAITING = {"queued": "Waiting for its turn", "paused": "Paused", "held": "Held after three crashes"}


class RunBox(QWidget):
    """``score`` begins; ``pause``, ``keep`` and ``cancel`` steer what runs."""

    def __init__(self, scores: Scores, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scores = scores
        self._why = QLabel(objectName="mixer.scores.cost", wordWrap=True)
        self._why.setProperty("role", "tiny")
        self.score = QPushButton("Score", objectName="mixer.scores.run", accessibleName="Score the mix")
        self.score.setProperty("role", "primary")
        self._doing = QLabel(objectName="mixer.scores.doing", wordWrap=True)
        self._left = QLabel(alignment=Qt.AlignmentFlag.AlignRight)
        self._left.setProperty("role", "dim")
        self.progress = QProgressBar(
            objectName="mixer.scores.progress", accessibleName="Progress of the scoring", textVisible=False
        )
        self.pause = QPushButton("Pause", objectName="mixer.scores.pause")
        self.keep = QPushButton("Stop and keep", objectName="mixer.scores.keep")
        self.keep.setToolTip("End here, with the arms that are scored as the result")
        self.cancel = QPushButton("Discard", objectName="mixer.scores.cancel")
        self.cancel.setToolTip("End here and forget what this run has scored")
        self._compose()
        self.score.clicked.connect(scores.score)
        self.pause.clicked.connect(self._pause)
        self.keep.clicked.connect(scores.stop_and_keep)
        self.cancel.clicked.connect(scores.cancel)
        scores.changed.connect(self._show)
        self._show()

    def _compose(self) -> None:
        self._running = QWidget()
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        for button in (self.pause, self.keep, self.cancel):
            buttons.addWidget(button, 1)
        words = QHBoxLayout()
        words.addWidget(self._doing, 1)
        words.addWidget(self._left, 0, Qt.AlignmentFlag.AlignBottom)
        running = QVBoxLayout(self._running)
        running.setContentsMargins(0, 0, 0, 0)
        running.setSpacing(8)
        running.addLayout(words)
        running.addWidget(self.progress)
        running.addLayout(buttons)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        for part in (self._why, self.score, self._running):
            column.addWidget(part)

    def _show(self) -> None:
        scores, job = self._scores, self._scores.job
        was_running = self._running.isVisibleTo(self)
        had_focus = any(button.hasFocus() for button in (self.score, self.pause, self.keep, self.cancel))
        self.score.setEnabled(not scores.why_not)
        self.score.setVisible(job is None)
        self._running.setVisible(job is not None)
        if had_focus and was_running != (job is not None):
            # The verb that has gone leaves the keyboard on the one that took its place.
            (self.score if job is None else self.pause).setFocus(Qt.FocusReason.OtherFocusReason)
        self._why.setText(scores.why_not or scores.cost)
        self._why.setVisible(job is None)
        if job is not None:
            self._show_job(job)

    def _show_job(self, job: Job) -> None:
        self.pause.setText("Resume" if job.state in ("paused", "held") else "Pause")
        self.pause.setEnabled(job.state != "queued")
        self.progress.setRange(0, max(1, job.steps))
        self.progress.setValue(job.step)
        self._doing.setText(WAITING.get(job.state) or job.message or "Starting")
        self._left.setText(
            f"{duration(job.seconds_left)} left"
            if job.seconds_left is not None and job.state == "running"
            else f"{job.step:,} of {job.steps:,}"
            if job.steps
            else ""
        )
        self.progress.setAccessibleDescription(f"{self._doing.text()}, {self._left.text()}")

    def _pause(self) -> None:
        job = self._scores.job
        if job is not None and job.state in ("paused", "held"):
            self._scores.resume()
        else:
            self._scores.pause()

"""A job while it runs: how far it is, and the verbs that pause it, end it or discard it."""

from __future__ import annotations

from typing import Protocol

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

from app.words import duration, percent
from engine.messages import Job

__all__ = ["Steered", "Steering", "share_of"]

WAITING = {"queued": "Waiting for its turn", "paused": "Paused", "held": "Held after three crashes"}
HALTED = ("paused", "held")


class Steered(Protocol):
    """Who follows a job and takes orders for it."""

    @property
    def job(self) -> Job | None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def cancel(self) -> None: ...

    def stop_and_keep(self) -> None: ...


class Steering(QWidget):
    """``pause`` (or resume), ``keep`` and ``cancel`` act on the job of ``steered``; ``show_job`` says how far
    it is. ``what`` names the bar to screen readers, ``keeps`` and ``forgets`` say what the verbs do.

    The parts are called ``NAME.state``, ``NAME.progress``, ``NAME.pause``, ``NAME.keep``, ``NAME.cancel``.
    Where it ``is_narrow`` the verbs take two lines.
    """

    def __init__(
        self,
        name: str,
        steered: Steered,
        keeps: str,
        forgets: str = "End the training and forget it",
        *,
        what: str = "Training progress",
        is_narrow: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._steered = steered
        self.state = QLabel(objectName=f"{name}.state", wordWrap=True)
        self._left = QLabel(alignment=Qt.AlignmentFlag.AlignRight)
        self._left.setProperty("role", "dim")
        self.progress = QProgressBar(objectName=f"{name}.progress", accessibleName=what, textVisible=False)
        self.pause = QPushButton("Pause", objectName=f"{name}.pause")
        self.keep = QPushButton("Stop and keep", objectName=f"{name}.keep")
        self.keep.setToolTip(keeps)
        self.cancel = QPushButton("Discard", objectName=f"{name}.cancel")
        self.cancel.setToolTip(forgets)
        self.verbs = (self.pause, self.keep, self.cancel)
        self._compose(is_narrow)
        self.pause.clicked.connect(self._pause)
        self.keep.clicked.connect(lambda: steered.stop_and_keep())
        self.cancel.clicked.connect(lambda: steered.cancel())

    def _compose(self, is_narrow: bool) -> None:
        words = QHBoxLayout()
        words.addWidget(self.state, 1)
        words.addWidget(self._left, 0, Qt.AlignmentFlag.AlignBottom)
        buttons = QGridLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.pause, 0, 0)
        buttons.addWidget(self.cancel, 0, 1 if is_narrow else 2)
        buttons.addWidget(self.keep, *((1, 0, 1, 2) if is_narrow else (0, 1)))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(words)
        column.addWidget(self.progress)
        column.addLayout(buttons)

    def show_job(self, job: Job, words: str) -> None:
        """``words`` say what it does while it runs; whatever else it does is said in their place."""
        self.pause.setText("Resume" if job.state in HALTED else "Pause")
        self.pause.setEnabled(job.state != "queued")
        self.progress.setRange(0, max(1, job.steps))
        self.progress.setValue(job.step)
        self.state.setText(WAITING.get(job.state) or words)
        self._left.setText(_left(job, words))
        self.progress.setAccessibleDescription(f"{self.state.text()}, {self._left.text()}")

    def _pause(self) -> None:
        job = self._steered.job
        if job is not None and job.state in HALTED:
            self._steered.resume()
        else:
            self._steered.pause()


def share_of(job: Job) -> str:
    """How much of it is done; that it begins, before its steps are known."""
    return percent(job.step / job.steps) if job.steps else "Starting"


def _left(job: Job, words: str) -> str:
    if job.seconds_left is not None and job.state == "running":
        return f"{duration(job.seconds_left)} left"
    if job.steps:
        return f"{job.step:,} of {job.steps:,}"
    return "" if job.message == words else job.message

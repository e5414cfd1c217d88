"""A training for every rank as it goes: its verbs, its progress, the loss of each rank."""

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

from app.pages.mixer.fields import heading
from app.presenters.rank_training import AT_RANK, RankTraining
from app.words import duration, percent
from engine.messages import Job
from widgets.curve_plot import CurvePlot
from widgets.rank_bars import RankBars
from widgets.verdict import Verdict

__all__ = ["Learning"]

WAITING = {"queued": "Waiting for its turn", "paused": "Paused", "held": "Held after three crashes"}
FAINTEST = 0.4


class Learning(QWidget):
    """``pause``, ``keep`` and ``cancel`` steer what runs; ``retry`` goes on where it failed."""

    def __init__(self, training: RankTraining, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._training = training
        self.setObjectName("ranks.learning")
        self._title = heading("")
        self._state = QLabel(objectName="ranks.learning.state")
        self._left = QLabel(alignment=Qt.AlignmentFlag.AlignRight)
        self._left.setProperty("role", "dim")
        self.progress = QProgressBar(
            objectName="ranks.learning.progress", accessibleName="Training progress", textVisible=False
        )
        self.pause = QPushButton("Pause", objectName="ranks.learning.pause")
        self.keep = QPushButton("Stop and keep", objectName="ranks.learning.keep")
        self.keep.setToolTip("End the training here and keep what every rank has learned")
        self.cancel = QPushButton("Discard", objectName="ranks.learning.cancel")
        self.cancel.setToolTip("End the training and forget it")
        self._trouble = Verdict()
        self._trouble.setObjectName("ranks.learning.trouble")
        self.retry = QPushButton("Go on from the last checkpoint", objectName="ranks.learning.retry")
        self.loss = CurvePlot("Loss by rank", "nats by step", legend=False)
        self.loss.setObjectName("ranks.learning.loss")
        self.bars = RankBars("ranks.learning.bars", "Newest loss at each rank")
        self._shades: dict[int, float] = {}
        self._compose()
        self._connect()
        self._replace()
        self._show()

    def _compose(self) -> None:
        words = QHBoxLayout()
        words.addWidget(self._state)
        words.addWidget(self._left, 1)
        buttons = QGridLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.pause, 0, 0)
        buttons.addWidget(self.cancel, 0, 1)
        buttons.addWidget(self.keep, 1, 0, 1, 2)
        self._running = QWidget()
        running = QVBoxLayout(self._running)
        running.setContentsMargins(0, 0, 0, 0)
        running.setSpacing(8)
        running.addLayout(words)
        running.addWidget(self.progress)
        running.addLayout(buttons)
        self.loss.setMinimumHeight(160)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        for part in (self._title, self._running, self._trouble, self.retry, self.loss, self.bars):
            column.addWidget(part)

    def _connect(self) -> None:
        training = self._training
        self.pause.clicked.connect(self._pause)
        self.keep.clicked.connect(training.stop_and_keep)
        self.cancel.clicked.connect(lambda: training.cancel())
        self.retry.clicked.connect(training.resume)
        training.changed.connect(self._show)
        training.curve_grew.connect(self._grow)
        training.curve_replaced.connect(self._replace)

    # the curve

    def _grow(self, step: int, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            if name.startswith(AT_RANK):
                self.loss.append(name.removeprefix(AT_RANK), step, value)
        self.bars.set_values(self._training.newest, self._shades)

    def _replace(self) -> None:
        training = self._training
        self.loss.clear()
        ranks = training.newest
        span = max(1, len(ranks) - 1)
        self._shades = {rank: FAINTEST + (1 - FAINTEST) * place / span for place, rank in enumerate(ranks)}
        self.loss.set_shades({str(rank): shade for rank, shade in self._shades.items()})
        for rank in ranks:
            for step, value in training.curve.get(f"{AT_RANK}{rank}", []):
                self.loss.append(str(rank), step, value)
        self.bars.set_values(ranks, self._shades)

    # the job

    def _show(self) -> None:
        training, job = self._training, self._training.job
        self.setVisible(job is not None)
        if job is None:
            return
        self._title.setText(job.name)
        self._running.setVisible(training.is_open)
        is_failed = job.state == "failed"
        self._trouble.setVisible(not training.is_open)
        self.retry.setVisible(is_failed)
        if is_failed and job.error is not None:
            self._trouble.say("bad", f"{job.error.message} {job.error.hint}".strip())
        elif job.state == "done":
            self._trouble.say("good", f"Trained in {duration(job.seconds)}, {job.step:,} steps.")
        elif not training.is_open:
            self._trouble.say("text_dim", f"Discarded after {job.step:,} of {job.steps:,} steps.")
        if training.is_open:
            self._show_progress(job)

    def _show_progress(self, job: Job) -> None:
        self.pause.setText("Resume" if job.state in ("paused", "held") else "Pause")
        self.pause.setEnabled(job.state != "queued")
        self.progress.setRange(0, max(1, job.steps))
        self.progress.setValue(job.step)
        share = percent(job.step / job.steps) if job.steps else "Starting"
        self._state.setText(WAITING.get(job.state) or share)
        self._left.setText(
            f"{duration(job.seconds_left)} left"
            if job.seconds_left is not None and job.state == "running"
            else f"{job.step:,} of {job.steps:,}"
            if job.steps
            else job.message
        )
        self.progress.setAccessibleDescription(f"{self._state.text()}, {self._left.text()}")

    def _pause(self) -> None:
        job = self._training.job
        if job is not None and job.state in ("paused", "held"):
            self._training.resume()
        else:
            self._training.pause()

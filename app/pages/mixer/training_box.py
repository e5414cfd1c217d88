"""The foot of the router panel: the button that trains, or the training while it runs; trouble is named."""

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

from app.pages.mixer.fields import tiny
from app.presenters.mixer import Mixer
from app.words import duration, percent
from engine.messages import Job
from widgets.verdict import Verdict

__all__ = ["TrainingBox"]

EXPLAINED = (
    "An expert without weight gets no gradient, so more training of the same kind does not bring it back. "
    "A larger balance weight makes one-sided loads costly; a smaller learning rate, or an entropy weight "
    "above 0, keeps the gates open for longer."
)
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
        self._stage = tiny("mixer.router.stage")
        self._trouble = self._build_trouble()
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

    def _build_trouble(self) -> QWidget:
        self._collapse = Verdict(self)
        self._collapse.setObjectName("mixer.router.collapse")
        self._explained = tiny("mixer.router.explained")
        self._explained.setText(EXPLAINED)
        self._explained.hide()
        self.why = QPushButton("Why", objectName="mixer.router.collapse-why", checkable=True)
        self.why.setAccessibleName("Why the routing collapses, and what helps")
        self.why.toggled.connect(self._explained.setVisible)
        self.evener = QPushButton("Train evener", objectName="mixer.router.evener")
        self.evener.setAccessibleName("Train again with a larger balance weight")
        self.evener.clicked.connect(self._train_evener)
        trouble = QWidget()
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.why)
        buttons.addWidget(self.evener, 1)
        column = QVBoxLayout(trouble)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self._collapse)
        column.addWidget(self._explained)
        column.addLayout(buttons)
        return trouble

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
        running.addWidget(self._stage)
        running.addLayout(words)
        running.addWidget(self.progress)
        running.addLayout(buttons)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        for part in (self._why, self._trouble, self.train, self._running):
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
        self.train.setText(self._verb())
        playing = self._mixer.playing
        account = playing.account("training", self._mixer.lesson.ranks)
        self._why.setText(why or f"{playing.sentence} {account}".strip())
        self._why.setVisible(not training.is_open and bool(self._why.text()))
        collapse = self._mixer.collapse
        self._trouble.setVisible(bool(collapse))
        if collapse:
            self._collapse.say("warn", collapse)
            balance = self._mixer.evener_balance
            self.evener.setToolTip(f"End what is being trained, and train again with balance {balance:g}")
        if training.job is not None and training.is_open:
            self._show_job(training.job)

    def _verb(self) -> str:
        if self._mixer.desk.lesson == "joint":
            return "Train together"
        return "Make router" if self._mixer.lesson.is_untrained else "Train router"

    def _train_evener(self) -> None:
        self.why.setChecked(False)
        self._mixer.train_evener()

    def _show_job(self, job: Job) -> None:
        self._stage.setText("\n".join(filter(None, (self._mixer.training.stage, self._mixer.playing.wait))))
        self._stage.setVisible(bool(self._stage.text()))
        self.pause.setText("Resume" if job.state in ("paused", "held") else "Pause")
        self.pause.setEnabled(job.state != "queued")
        self.progress.setRange(0, max(1, job.steps))
        self.progress.setValue(job.step)
        share = percent(job.step / job.steps) if job.steps else ""
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

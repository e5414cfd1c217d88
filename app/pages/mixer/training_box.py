"""The foot of the router panel: the button that trains, or the training while it runs; trouble is named."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.pages.fields import tiny
from app.pages.steering import Steering, share_of
from app.presenters.mixer import Mixer
from engine.messages import Job
from widgets.verdict import Verdict

__all__ = ["TrainingBox"]

EXPLAINED = (
    "An expert without weight gets no gradient, so more training of the same kind does not bring it back. "
    "A larger balance weight makes one-sided loads costly; a smaller learning rate, or an entropy weight "
    "above 0, keeps the gates open for longer."
)
KEEPS = "End the training here and play what the router has learned"


class TrainingBox(QWidget):
    """``train`` begins; ``steering`` acts on what runs."""

    def __init__(self, mixer: Mixer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mixer = mixer
        self._why = QLabel(objectName="mixer.router.why", wordWrap=True)
        self._why.setProperty("role", "tiny")
        self.train = QPushButton("Train router", objectName="mixer.router.train")
        self.train.setProperty("role", "primary")
        self._stage = tiny("mixer.router.stage")
        self._trouble = self._build_trouble()
        self.steering = Steering("mixer.router", mixer.training, KEEPS, is_narrow=True)
        self._compose()
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
        running = QVBoxLayout(self._running)
        running.setContentsMargins(0, 0, 0, 0)
        running.setSpacing(8)
        running.addWidget(self._stage)
        running.addWidget(self.steering)
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
            self.steering.pause.setFocus(Qt.FocusReason.OtherFocusReason)
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
        self.steering.show_job(job, f"{job.name}  {share_of(job)}")

"""A training that is followed: while it runs its verbs and progress, then how it ended; below, its curves."""

from __future__ import annotations

from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from app.pages.fields import heading
from app.pages.steering import Steering, share_of
from app.presenters.following import Following
from app.words import duration
from widgets.verdict import Verdict

__all__ = ["LearningView"]


class LearningView(QWidget):
    """``steering`` acts on what runs; ``retry`` goes on where it failed. Hidden while there is no training.

    A subclass adds its curves to ``column`` and then calls ``begin``: they grow by ``grow`` and are drawn
    anew by ``replace``.
    """

    def __init__(
        self,
        name: str,
        training: Following,
        keeps: str,
        *,
        is_narrow: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.training = training
        self.setObjectName(name)
        self._title = heading("")
        self.steering = Steering(name, training, keeps, is_narrow=is_narrow)
        self._outcome = Verdict()
        self._outcome.setObjectName(f"{name}.outcome")
        self.retry = QPushButton("Go on from the last checkpoint", objectName=f"{name}.retry")
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, 0, 0, 0)
        self.column.setSpacing(12)
        for part in (self._title, self.steering, self._outcome, self.retry):
            self.column.addWidget(part)

    def begin(self) -> None:
        """Follow the training from now on."""
        training = self.training
        self.retry.clicked.connect(training.resume)
        training.changed.connect(self._show)
        training.curve_grew.connect(self.grow)
        training.curve_replaced.connect(self.replace)
        self.replace()
        self._show()

    def grow(self, step: int, metrics: dict[str, float]) -> None:
        """One more point of the curves."""
        raise NotImplementedError

    def replace(self) -> None:
        """Draw the curves of ``training`` anew."""
        raise NotImplementedError

    @property
    def words(self) -> str:
        """What the running job does."""
        return share_of(self.training.job) if self.training.job is not None else ""

    def _show(self) -> None:
        training, job = self.training, self.training.job
        self.setVisible(job is not None)
        if job is None:
            return
        self._title.setText(job.name)
        self.steering.setVisible(training.is_open)
        self._outcome.setVisible(not training.is_open)
        self.retry.setVisible(job.state == "failed")
        if training.is_open:
            self.steering.show_job(job, self.words)
        elif job.state == "failed" and job.error is not None:
            self._outcome.say("bad", f"{job.error.message} {job.error.hint}".strip())
        elif job.state == "done":
            self._outcome.say("good", f"Trained in {duration(job.seconds)}, {job.step:,} steps.")
        else:
            self._outcome.say("text_dim", f"Discarded after {job.step:,} of {job.steps:,} steps.")

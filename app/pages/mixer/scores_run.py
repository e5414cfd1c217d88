"""The foot of the score page's plan: what scoring costs and the button, or the scoring while it runs."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from app.pages.steering import Steering
from app.presenters.scores import Scores

__all__ = ["RunBox"]

KEEPS = "End here, with the arms that are scored as the result"
FORGETS = "End here and forget what this run has scored"


class RunBox(QWidget):
    """``score`` begins; ``steering`` acts on what runs."""

    def __init__(self, scores: Scores, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scores = scores
        self._why = QLabel(objectName="mixer.scores.cost", wordWrap=True)
        self._why.setProperty("role", "tiny")
        self.score = QPushButton("Score", objectName="mixer.scores.run", accessibleName="Score the mix")
        self.score.setProperty("role", "primary")
        self.steering = Steering("mixer.scores", scores, KEEPS, FORGETS, what="Progress of the scoring")
        self._compose()
        self.score.clicked.connect(scores.score)
        scores.changed.connect(self._show)
        self._show()

    def _compose(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        for part in (self._why, self.score, self.steering):
            column.addWidget(part)

    def _show(self) -> None:
        scores, job = self._scores, self._scores.job
        steering = self.steering
        was_running = steering.isVisibleTo(self)
        had_focus = any(button.hasFocus() for button in (self.score, *steering.verbs))
        self.score.setEnabled(not scores.why_not)
        self.score.setVisible(job is None)
        steering.setVisible(job is not None)
        if had_focus and was_running != (job is not None):
            # The verb that has gone leaves the keyboard on the one that took its place.
            (self.score if job is None else steering.pause).setFocus(Qt.FocusReason.OtherFocusReason)
        self._why.setText(scores.why_not or scores.cost)
        self._why.setVisible(job is None)
        if job is not None:
            steering.show_job(job, job.message or "Starting")

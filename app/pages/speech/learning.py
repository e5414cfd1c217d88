"""A training of speech as it goes: its verbs, its progress, its loss, its word errors by each sense."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.pages.learning import LearningView
from app.pages.speech.senses import HUES
from app.presenters.speech_training import SpeechTraining
from app.presenters.transcript_columns import MODES, SENSES
from widgets.curve_plot import CurvePlot

__all__ = ["SpeechLearning"]

KEEPS = "End the training here and keep what the model has learned"


class SpeechLearning(LearningView):
    """``loss``, and beside it ``errors``: the share of wrong words by each sense."""

    training: SpeechTraining

    def __init__(self, training: SpeechTraining, parent: QWidget | None = None) -> None:
        super().__init__("speech.learning", training, KEEPS, parent=parent)
        self.loss = CurvePlot("Loss", "nats by step")
        self.errors = CurvePlot("Words wrong", "share of words, by step", floor=0.0)
        self.loss.setObjectName("speech.learning.loss")
        self.errors.setObjectName("speech.learning.errors")
        self.errors.set_hues({SENSES[mode]: HUES[mode] for mode in MODES})
        self.loss.setMinimumHeight(160)
        curves = QHBoxLayout()
        curves.setSpacing(16)
        curves.addWidget(self.loss, 1)
        curves.addWidget(self.errors, 1)
        self.column.addLayout(curves, 1)
        self.begin()

    @property
    def words(self) -> str:
        message = self.training.job.message if self.training.job is not None else ""
        return f"{super().words}  {message}".strip()

    def grow(self, step: int, metrics: dict[str, float]) -> None:
        for mode in MODES:
            if (share := metrics.get(f"wer {mode}")) is not None:
                self.errors.append(SENSES[mode], step, share)
        if "loss" in metrics:
            self.loss.append("loss", step, metrics["loss"])

    def replace(self) -> None:
        self.loss.clear()
        self.errors.clear()
        for name, points in self.training.curve.items():
            for step, value in points:
                self.grow(step, {name: value})

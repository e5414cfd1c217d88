"""The training's curves under the desk: loss, entropy of the gates, load per expert, how experts are held."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QStackedLayout, QWidget

from app.presenters.mixer import Mixer
from app.presenters.playing import NULL, experts_of
from app.presenters.training import LOAD, OWN_LOSS
from engine.messages import TrainJoint, TrainRouter
from widgets.curve_plot import CurvePlot

__all__ = ["Curves"]

AHEAD = "Loss, entropy and load are drawn here while the router learns."
UNTRAINED = "This router was made without training, so there are no curves."


class Curves(QWidget):
    """Plots of the training that the mixer follows; a sentence while there is none.

    In joint training the loss is drawn per domain too, and a fourth plot shows how firmly experts are held.
    """

    def __init__(self, mixer: Mixer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mixer = mixer
        self.setObjectName("mixer.curves")
        self.setAccessibleName("Training curves")
        self.loss = CurvePlot("Loss", "nats by step", legend=False)
        self.entropy = CurvePlot("Gate entropy", "nats by step", floor=0.0)
        self.load = CurvePlot("Load", "share by step", floor=0.0, legend=False)
        self.held = CurvePlot("Held back", "penalty", floor=0.0, legend=False)
        self._plots = {"loss": self.loss, "entropy": self.entropy, "load": self.load, "held": self.held}
        for name, plot in self._plots.items():
            plot.setObjectName(f"mixer.curves.{name}")
            plot.log.setVisible(name == "loss")
        self._compose()
        mixer.training.curve_grew.connect(self._grow)
        mixer.training.curve_replaced.connect(self._replace)
        mixer.desk_changed.connect(self._show_hues)
        self._replace()

    def _compose(self) -> None:
        plots = QWidget()
        row = QHBoxLayout(plots)
        row.setContentsMargins(16, 8, 16, 8)
        row.setSpacing(16)
        for plot in self._plots.values():
            row.addWidget(plot, 1)
        self._empty = QLabel(
            objectName="mixer.curves.empty", wordWrap=True, alignment=Qt.AlignmentFlag.AlignCenter
        )
        self._empty.setProperty("role", "dim")
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(plots)
        self.setMinimumHeight(140)

    def _grow(self, step: int, metrics: dict[str, float]) -> None:
        self._stack.setCurrentIndex(1)
        for name, value in metrics.items():
            self._append(name, step, value)

    def _append(self, name: str, step: int, value: float) -> None:
        if name == "loss":
            self.loss.append(name, step, value)
        elif name == "entropy":
            self.entropy.append(name, step, value)
        elif name == "preserve":
            self.held.append(name, step, value)
        elif name.startswith(LOAD):
            self.load.append(name.removeprefix(LOAD), step, value)
        elif name.startswith(OWN_LOSS):
            self.loss.append(name.removeprefix(OWN_LOSS), step, value)

    def _replace(self) -> None:
        for plot in self._plots.values():
            plot.clear()
        training = self._mixer.training
        self._show_hues()
        for name, points in training.curve.items():
            for step, value in points:
                self._append(name, step, value)
        self.held.setVisible(isinstance(training.spec, TrainJoint))
        is_untrained = isinstance(training.spec, TrainRouter) and training.spec.steps == 0
        self._empty.setText(UNTRAINED if is_untrained else AHEAD)
        self._stack.setCurrentIndex(1 if training.curve else 0)

    def _show_hues(self) -> None:
        spec = self._mixer.training.spec
        names = [*(experts_of(spec) if spec else self._mixer.desk.experts), NULL]
        for plot in (self.loss, self.load):
            plot.set_hues({name: self._mixer.hue(name) for name in names})

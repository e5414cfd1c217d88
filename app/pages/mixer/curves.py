"""The training's curves under the desk: loss, entropy of the gates, load per expert."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QStackedLayout, QWidget

from app.presenters.mixer import Mixer
from app.presenters.router_training import LOAD
from widgets.curve_plot import CurvePlot

__all__ = ["Curves"]


class Curves(QWidget):
    """Three plots, drawn from the training that the mixer follows; a sentence while there is none."""

    def __init__(self, mixer: Mixer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mixer = mixer
        self.setObjectName("mixer.curves")
        self.setAccessibleName("Training curves")
        self.loss = CurvePlot("Loss", "nats by step")
        self.entropy = CurvePlot("Gate entropy", "nats by step", floor=0.0)
        self.load = CurvePlot("Load", "share by step", floor=0.0, legend=False)
        self.load.log.hide()
        self.entropy.log.hide()
        for name in ("loss", "entropy", "load"):
            getattr(self, name).setObjectName(f"mixer.curves.{name}")
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
        for plot in (self.loss, self.entropy, self.load):
            row.addWidget(plot, 1)
        empty = QLabel(
            "Loss, entropy and load are drawn here while the router learns.",
            alignment=Qt.AlignmentFlag.AlignCenter,
        )
        empty.setProperty("role", "dim")
        self._stack = QStackedLayout(self)
        self._stack.addWidget(empty)
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
        elif name.startswith(LOAD):
            self.load.append(name.removeprefix(LOAD), step, value)

    def _replace(self) -> None:
        for plot in (self.loss, self.entropy, self.load):
            plot.clear()
        training = self._mixer.training
        self._show_hues()
        for name, points in training.curve.items():
            for step, value in points:
                self._append(name, step, value)
        self._stack.setCurrentIndex(1 if training.job is not None else 0)

    def _show_hues(self) -> None:
        spec = self._mixer.training.spec
        names = [*(spec.experts if spec else self._mixer.desk.experts), "null"]
        self.load.set_hues({name: self._mixer.hue(name) for name in names})

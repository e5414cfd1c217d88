"""The router panel: which mix plays and how, what to train on, and the training while it runs."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from app.presenters.mixer import Mixer
from app.words import count, duration
from engine.messages import GateMode

__all__ = ["RouterPanel"]

CHOOSE = "Choose file…"
STATIC = "None, static faders"
INPUTS = {"context": "Token with context", "local": "Token alone"}
WAITING = {"queued": "Waiting for its turn", "paused": "Paused", "held": "Held after three crashes"}


class RouterPanel(QFrame):
    """Everything about the router that a person may choose. A data file may be dropped on it."""

    def __init__(self, mixer: Mixer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mixer = mixer
        self.setObjectName("mixer.router")
        self.setAccessibleName("Router")
        self.setAcceptDrops(True)
        self.setFixedWidth(208)
        self._build_playing()
        self._build_learning()
        self._build_training()
        self._compose()
        self._connect()
        self._show()

    def _build_playing(self) -> None:
        self.mix = QComboBox(objectName="mixer.router.mix", accessibleName="Mix that plays")
        self.soft = QPushButton("Soft", objectName="mixer.router.soft", checkable=True)
        self.soft.setToolTip("Every expert speaks as loudly as the router says")
        self.topk = QPushButton("Top-k", objectName="mixer.router.topk", checkable=True)
        self.topk.setToolTip("Only the k loudest experts speak at each token")
        self._modes = QButtonGroup(self)
        for button, words in ((self.soft, "Soft gates"), (self.topk, "Top-k gates")):
            button.setAccessibleName(words)
            self._modes.addButton(button)
        self.k = QSpinBox(
            objectName="mixer.router.k",
            accessibleName="Experts heard per token",
            minimum=1,
            maximum=16,
        )
        self.strength = QDoubleSpinBox(
            objectName="mixer.router.strength",
            accessibleName="Strength of the mix",
            minimum=0.0,
            maximum=4.0,
            singleStep=0.1,
            decimals=1,
        )

    def _build_learning(self) -> None:
        self.data = QComboBox(objectName="mixer.router.data", accessibleName="Training data")
        self.data.setToolTip("Choose a set, or drop a file here: JSON lines, CSV or Parquet")
        self.input = QComboBox(objectName="mixer.router.input", accessibleName="What the router listens to")
        for name, words in INPUTS.items():
            self.input.addItem(words, name)
        self.input.setToolTip(
            "A token alone is the published method; with the text before it, small bases mix better"
        )
        self.passes = QSpinBox(
            objectName="mixer.router.passes",
            accessibleName="Passes over the data",
            minimum=1,
            maximum=100,
        )
        self.train = QPushButton("Train router", objectName="mixer.router.train")
        self.train.setProperty("role", "primary")
        self._why = QLabel(wordWrap=True)
        self._why.setProperty("role", "tiny")

    def _build_training(self) -> None:
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

    def _compose(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(8)
        column.addWidget(_heading("Router"))
        column.addWidget(self.mix)
        modes = QHBoxLayout()
        modes.setSpacing(8)
        modes.addWidget(self.soft, 1)
        modes.addWidget(self.topk, 1)
        column.addLayout(modes)
        column.addLayout(_rows({"Experts heard": self.k, "Strength": self.strength}))
        column.addSpacing(8)
        column.addWidget(_heading("Training"))
        column.addWidget(self.data)
        column.addWidget(self.input)
        column.addLayout(_rows({"Passes": self.passes}))
        column.addStretch(1)
        column.addWidget(self._why)
        column.addWidget(self.train)
        column.addWidget(self._training_box())

    def _training_box(self) -> QWidget:
        self._box = QWidget()
        words = QHBoxLayout()
        words.addWidget(self._share)
        words.addWidget(self._left, 1)
        buttons = QGridLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.pause, 0, 0)
        buttons.addWidget(self.cancel, 0, 1)
        buttons.addWidget(self.keep, 1, 0, 1, 2)
        column = QVBoxLayout(self._box)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(words)
        column.addWidget(self.progress)
        column.addLayout(buttons)
        return self._box

    def _connect(self) -> None:
        mixer = self._mixer
        self.mix.activated.connect(self._open_mix)
        self._modes.buttonClicked.connect(lambda _: mixer.set_router(mode=self._mode()))
        self.k.valueChanged.connect(lambda k: mixer.set_router(top_k=k))
        self.strength.valueChanged.connect(lambda strength: mixer.set_router(strength=round(strength, 2)))
        self.input.activated.connect(lambda _: mixer.set_router(router_input=self.input.currentData()))
        self.data.activated.connect(self._choose_data)
        self.passes.valueChanged.connect(mixer.set_passes)
        self.train.clicked.connect(mixer.train)
        self.pause.clicked.connect(self._pause)
        self.keep.clicked.connect(mixer.stop_and_keep)
        self.cancel.clicked.connect(mixer.cancel)
        mixer.desk_changed.connect(self._show)
        mixer.library_changed.connect(self._show)
        mixer.training.changed.connect(self._show_training)

    # showing what the presenter says

    def _show(self) -> None:
        router = self._mixer.desk.router
        for widget in (self.k, self.strength, self.passes):
            widget.blockSignals(True)
        self.k.setValue(router.top_k)
        self.strength.setValue(router.strength)
        self.passes.setValue(self._mixer.passes)
        for widget in (self.k, self.strength, self.passes):
            widget.blockSignals(False)
        (self.topk if router.mode == "topk" else self.soft).setChecked(True)
        self.input.setCurrentIndex(self.input.findData(router.router_input))
        plays = self._mixer.plays_mix
        for widget in (self.soft, self.topk, self.strength):
            widget.setEnabled(plays)
        self.k.setEnabled(plays and router.mode == "topk")
        self._show_mixes()
        self._show_data()
        self._show_training()

    def _show_mixes(self) -> None:
        base = self._mixer.desk.base
        names = [card.name for card in self._mixer.mixes.values() if not base or card.base == base]
        _fill(self.mix, [(STATIC, ""), *((name, name) for name in names)], self._mixer.desk.mix)

    def _show_data(self) -> None:
        chosen = self._mixer.data
        sets = list(self._mixer.sets)
        if chosen is not None and chosen not in sets:
            sets.append(chosen)
        items = [(f"{data.name}  ({data.rows:,})", data.path) for data in sets]
        _fill(self.data, [*items, (CHOOSE, CHOOSE)], chosen.path if chosen else "")
        if chosen is not None:
            words = f"{count(chosen.rows, 'example')}. {chosen.description}".strip()
            self.data.setToolTip(words)
            self.data.setAccessibleDescription(words)

    def _show_training(self) -> None:
        training = self._mixer.training
        why = self._mixer.why_not_train
        self._box.setVisible(training.is_open)
        self.train.setVisible(not training.is_open)
        self.train.setEnabled(not why)
        self._why.setText(why or self._mixer.sound)
        self._why.setVisible(not training.is_open and bool(self._why.text()))
        for widget in (self.data, self.input, self.passes):
            widget.setEnabled(not training.is_open)
        job = training.job
        if job is None or not training.is_open:
            return
        is_idle = job.state in ("paused", "held")
        self.pause.setText("Resume" if is_idle else "Pause")
        self.pause.setEnabled(job.state != "queued")
        self.progress.setRange(0, max(1, job.steps))
        self.progress.setValue(job.step)
        share = f"{job.step / job.steps:.0%}" if job.steps else ""
        self._share.setText(WAITING.get(job.state) or f"{job.name}  {share}".strip())
        self._left.setText(
            f"{duration(job.seconds_left)} left"
            if job.seconds_left is not None and job.state == "running"
            else f"step {job.step:,} of {job.steps:,}"
            if job.steps
            else job.message
        )
        self.progress.setAccessibleDescription(f"{self._share.text()}, {self._left.text()}")

    # what a person chooses

    def _mode(self) -> GateMode:
        return "topk" if self.topk.isChecked() else "soft"

    def _open_mix(self) -> None:
        name = str(self.mix.currentData())
        if name:
            self._mixer.open_mix(name)
        else:
            self._mixer.close_mix()

    def _choose_data(self) -> None:
        path = str(self.data.currentData())
        if path == CHOOSE:
            self._show_data()
            self.choose_file()
        else:
            self._mixer.choose_data(path)

    def choose_file(self) -> None:
        """Ask for a data file; it is read to its end before it is taken."""
        kinds = "Training data (*.jsonl *.json *.csv *.parquet);;All files (*)"
        path, _ = QFileDialog.getOpenFileName(self, "Choose training data", "", kinds)
        if path:
            self._mixer.choose_data(path)

    def _pause(self) -> None:
        job = self._mixer.training.job
        if job is not None and job.state in ("paused", "held"):
            self._mixer.resume()
        else:
            self._mixer.pause()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        path = next(url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile())
        event.acceptProposedAction()
        self._mixer.choose_data(str(Path(path)))


def _heading(words: str) -> QLabel:
    label = QLabel(words)
    label.setProperty("role", "heading")
    return label


def _rows(fields: dict[str, QWidget]) -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(8)
    grid.setVerticalSpacing(8)
    grid.setColumnStretch(0, 1)
    for row, (words, field) in enumerate(fields.items()):
        label = QLabel(words)
        label.setBuddy(field)
        label.setProperty("role", "dim")
        field.setFixedWidth(76)
        grid.addWidget(label, row, 0)
        grid.addWidget(field, row, 1)
    return grid


def _fill(box: QComboBox, items: list[tuple[str, str]], chosen: str) -> None:
    """Make ``box`` offer exactly ``items`` (words, value); nothing is touched when it already does."""
    box.blockSignals(True)
    if [(box.itemText(i), box.itemData(i)) for i in range(box.count())] != items:
        box.clear()
        for words, value in items:
            box.addItem(words, value)
    box.setCurrentIndex(box.findData(chosen))
    box.blockSignals(False)

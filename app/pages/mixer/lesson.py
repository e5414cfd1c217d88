"""What the next router is trained on and how: data, name, and under a fold everything else."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QLineEdit,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.pages.mixer.fields import fill, heading, narrow, quietly, rows
from app.presenters.mixer import Mixer
from app.words import count
from widgets.number_field import decimal_field, whole_field

__all__ = ["Lesson"]

CHOOSE = "Choose file…"
INPUTS = {"context": "Token with context", "local": "Token alone"}


class Lesson(QWidget):
    """The middle part of the router panel; disabled while a router is being trained.

    ``unfolded``: the ``fold`` was opened and has its place.
    """

    unfolded = Signal()

    def __init__(self, mixer: Mixer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mixer = mixer
        self.data = QComboBox(objectName="mixer.router.data", accessibleName="Training data")
        self.name = QLineEdit(objectName="mixer.router.name", accessibleName="Name of the new mix")
        self.name.setToolTip("The trained router is saved under this name; empty takes the next free one")
        self.more = QToolButton(objectName="mixer.router.more", text="More", checkable=True)
        self.more.setAccessibleName("More training settings")
        self.more.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.more.setArrowType(Qt.ArrowType.RightArrow)
        self._build_more()
        self._compose()
        self._connect()
        self._show()

    def _build_more(self) -> None:
        self.passes = whole_field("mixer.router.passes", "Passes over the data", 1, 100)
        self.passes.setToolTip("How often the training goes over the data")
        self.input = QComboBox(objectName="mixer.router.input", accessibleName="What the router listens to")
        narrow(self.input)
        for value, words in INPUTS.items():
            self.input.addItem(words, value)
        self.input.setToolTip(
            "A token alone is the published method; with the text before it, small bases mix better"
        )
        self.null = QCheckBox("", objectName="mixer.router.null", accessibleName="Null expert")
        self.null.setToolTip(
            "One more voice that says nothing, so that the router can leave a token to the base"
        )
        self.rate = decimal_field("mixer.router.rate", "Learning rate", 1e-5, 1.0, 0.005, 4)
        self.rate.setToolTip("How far each step goes; smaller is slower and steadier")
        self.balance = decimal_field("mixer.router.balance", "Balance weight", 0.0, 10.0, 0.01, 3)
        self.balance.setToolTip(
            "Alpha of the Specialization Balance Loss: larger shares the load more evenly"
        )
        self.entropy = decimal_field("mixer.router.entropy", "Entropy weight", -1.0, 1.0, 0.01, 3)
        self.entropy.setToolTip(
            "Lambda of the Specialization Balance Loss, signed: positive flattens, negative sharpens"
        )
        self.seed = whole_field("mixer.router.seed", "Seed", 0, 2**31 - 1)
        self.seed.setToolTip("The same seed, data and experts give the same router again")

    def _compose(self) -> None:
        self.fold = QWidget()
        fields = {
            "Passes": self.passes,
            "Null expert": self.null,
            "Learning rate": self.rate,
            "Balance": self.balance,
            "Entropy": self.entropy,
            "Seed": self.seed,
        }
        fold = QVBoxLayout(self.fold)
        fold.setContentsMargins(0, 0, 0, 0)
        fold.setSpacing(8)
        fold.addWidget(self.input)
        fold.addLayout(rows(fields))
        self.fold.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(heading("Training"))
        column.addWidget(narrow(self.data))
        column.addWidget(self.name)
        column.addWidget(self.more)
        column.addWidget(self.fold)

    def _connect(self) -> None:
        mixer = self._mixer
        self.data.activated.connect(self._choose_data)
        self.more.toggled.connect(self._unfold)
        self.passes.valueChanged.connect(lambda passes: mixer.set_router(epochs=passes))
        self.input.activated.connect(lambda _: mixer.set_router(router_input=self.input.currentData()))
        self.null.toggled.connect(lambda on: mixer.set_router(null_expert=on))
        self.rate.valueChanged.connect(lambda rate: mixer.set_router(learning_rate=round(rate, 4)))
        self.balance.valueChanged.connect(lambda weight: mixer.set_router(balance_weight=round(weight, 3)))
        self.entropy.valueChanged.connect(lambda weight: mixer.set_router(entropy_weight=round(weight, 3)))
        self.seed.valueChanged.connect(lambda seed: mixer.set_router(seed=seed))
        mixer.desk_changed.connect(self._show)
        mixer.training.changed.connect(self._show)

    def _unfold(self, on: bool) -> None:
        self.fold.setVisible(on)
        if on:
            QTimer.singleShot(0, self, self.unfolded.emit)
        self.more.setArrowType(Qt.ArrowType.DownArrow if on else Qt.ArrowType.RightArrow)

    def _show(self) -> None:
        router = self._mixer.desk.router
        values = {
            self.passes: router.epochs,
            self.rate: router.learning_rate,
            self.balance: router.balance_weight,
            self.entropy: router.entropy_weight,
            self.seed: router.seed,
        }
        with quietly(*values, self.null):
            for field, value in values.items():
                field.setValue(value)
            self.null.setChecked(router.null_expert)
        self.input.setCurrentIndex(self.input.findData(router.router_input))
        self.name.setPlaceholderText(f"Name: {self._mixer.free_name}")
        self.setEnabled(not self._mixer.training.is_open)
        self._show_data()

    def _show_data(self) -> None:
        chosen = self._mixer.data
        sets = list(self._mixer.stock.sets)
        if chosen is not None and chosen not in sets:
            sets.append(chosen)
        items = [(f"{data.name}  ({data.rows:,})", data.path) for data in sets]
        fill(self.data, [*items, (CHOOSE, CHOOSE)], chosen.path if chosen else "")
        words = "Choose a set, or drop a file here: JSON lines, CSV or Parquet"
        if chosen is not None:
            words = f"{count(chosen.rows, 'example')}. {chosen.description}".strip()
        self.data.setToolTip(words)
        self.data.setAccessibleDescription(words)

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

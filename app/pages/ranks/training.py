"""Train an adapter for every rank: the form, and below it what each rank has learned."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from app.pages.data_box import DataBox
from app.pages.fields import Fold, heading, quietly, rows, tiny
from app.pages.ranks.learning import Learning
from app.presenters.rank_training import RankTraining
from widgets.choice import Choice
from widgets.number_field import decimal_field, whole_field

__all__ = ["RankTrainingForm"]

WHAT_FOR = (
    "A DyLoRA is one adapter trained at every rank: each step draws one and trains what speaks at it. It can "
    "be slid or cut without training again."
)
DRAWS = {
    "uniform": ("Uniform", "Every rank is drawn as often as any other"),
    "geometric": ("Geometric", "Low ranks are drawn more often (p = 0.15)"),
}
MODES = {
    "full": ("All columns", "A step at rank b trains columns 1 to b: the better one in the paper"),
    "frozen": ("Last column", "A step at rank b trains column b alone; those before it stay bit for bit"),
}
WIDE = 148


class RankTrainingForm(QWidget):
    """The plan of a training while there is none; ``learning`` shows the one that runs, or ran last."""

    def __init__(self, training: RankTraining, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._training = training
        self.setObjectName("ranks.training")
        self.from_data = DataBox("ranks.training.data", "Data to train on")
        self.name = QLineEdit(objectName="ranks.training.name", accessibleName="Name of the new adapter")
        self.highest = whole_field("ranks.training.highest", "Highest rank", 1, 256)
        self.lowest = whole_field("ranks.training.lowest", "Lowest rank", 1, 256)
        self.draw = Choice("ranks.training.draw", "Ranks are drawn", DRAWS)
        self.mode = Choice("ranks.training.mode", "A step trains", MODES)
        self.steps = whole_field("ranks.training.steps", "Steps", 1, 1_000_000, 50)
        self.rate = decimal_field("ranks.training.rate", "Learning rate", 1e-6, 1.0, 1e-3, 6)
        self.batch = whole_field("ranks.training.batch", "Rows in a step", 1, 4096)
        self.seed = whole_field("ranks.training.seed", "Seed", 0, 2**31 - 1)
        self._means = tiny("ranks.training.means")
        self.train = QPushButton("Train", objectName="ranks.training.train")
        self.train.setAccessibleName("Train an adapter for every rank")
        self.train.setProperty("role", "primary")
        self.learning = Learning(training)
        self._compose()
        self._connect()
        self._show()

    def _compose(self) -> None:
        self._form = self._build_form()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 8, 8, 8)
        column.setSpacing(16)
        column.addWidget(self._form)
        column.addWidget(self.learning)
        column.addStretch(1)

    def _build_form(self) -> QWidget:
        self.name.setMaxLength(64)
        more = QWidget()
        within = rows({"Learning rate": self.rate, "Rows in a step": self.batch, "Seed": self.seed}, WIDE)
        more.setLayout(within)
        self.more = Fold("ranks.training.more", "More", "More settings of the training", more)
        sheet = QWidget()
        form = QVBoxLayout(sheet)
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(8)
        what_for = tiny()
        what_for.setText(WHAT_FOR)
        form.addWidget(heading("An adapter for every rank"))
        form.addWidget(what_for)
        form.addLayout(
            rows(
                {
                    "Data": self.from_data,
                    "Name": self.name,
                    "Highest rank": self.highest,
                    "Lowest rank": self.lowest,
                    "Steps": self.steps,
                },
                WIDE,
            )
        )
        for words, choice in (("Ranks are drawn", self.draw), ("A step at rank b trains", self.mode)):
            label = QLabel(words)
            label.setProperty("role", "dim")
            form.addWidget(label)
            form.addWidget(choice)
        form.addWidget(self.more, 0, Qt.AlignmentFlag.AlignLeft)
        form.addWidget(more)
        form.addWidget(self._means)
        form.addWidget(self.train)
        return sheet

    def _connect(self) -> None:
        training = self._training
        self.from_data.chosen.connect(training.choose_data)
        self.name.textEdited.connect(lambda name: training.set(name=name))
        self.highest.valueChanged.connect(lambda rank: training.set(rank=rank))
        self.lowest.valueChanged.connect(lambda rank: training.set(low=rank))
        self.draw.chosen.connect(lambda draw: training.set(draw=draw))
        self.mode.chosen.connect(lambda mode: training.set(mode=mode))
        self.steps.valueChanged.connect(lambda steps: training.set(steps=steps))
        self.rate.valueChanged.connect(lambda rate: training.set(learning_rate=rate))
        self.batch.valueChanged.connect(lambda size: training.set(batch_size=size))
        self.seed.valueChanged.connect(lambda seed: training.set(seed=seed))
        self.train.clicked.connect(training.train)
        training.planned.connect(self._show)
        training.changed.connect(self._show)

    def _show(self) -> None:
        training, plan = self._training, self._training.plan
        self.from_data.offer(training.offered, training.data)
        if self.name.text() != plan.name:
            self.name.setText(plan.name)
        self.name.setPlaceholderText(training.free_name)
        fields = (self.highest, self.lowest, self.steps, self.rate, self.batch, self.seed)
        values = (plan.rank, plan.low, plan.steps, plan.learning_rate, plan.batch_size, plan.seed)
        with quietly(*fields):
            for field, value in zip(fields, values, strict=True):
                field.setValue(value)
        self.draw.choose(plan.draw)
        self.mode.choose(plan.mode)
        self._means.setText(training.why_not or training.sentence)
        self.train.setEnabled(not training.why_not)
        had_focus = self._form.isAncestorOf(self.focusWidget()) if self.focusWidget() else False
        was_open = self._form.isHidden()
        self._form.setVisible(not training.is_open)
        if had_focus and training.is_open and not was_open:
            # The verb that has gone leaves the keyboard on the one that took its place.
            self.learning.steering.pause.setFocus(Qt.FocusReason.OtherFocusReason)

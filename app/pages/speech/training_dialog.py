"""Train a model of speech: the form, and in its place how the training goes."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.pages.fields import Fold, quietly, rows, tiny
from app.pages.speech.learning import SpeechLearning
from app.pages.speech.part_box import PartBox
from app.presenters.speech_import import part_choices
from app.presenters.speech_training import SpeechTraining
from widgets.icon_button import WordButton
from widgets.number_field import decimal_field, whole_field

__all__ = ["SpeechTrainingDialog"]

SIZE = QSize(640, 620)
WIDE = 300
WHAT_FOR = (
    "One model that hears, reads lips and does both, trained on clips of yours: JSON lines with \"clip\" (a "
    "path, relative to the file) and \"text\". Ear, eye and language model stay as they are; what joins them "
    "learns."
)  # fmt: skip
FRESH = "From its parts"


class SpeechTrainingDialog(QDialog):
    def __init__(self, training: SpeechTraining, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._training = training
        self.setObjectName("speech.training")
        self.setWindowTitle("Train a model of speech")
        self.resize(SIZE)
        self.data = WordButton("file", "Choose data", "speech.training.data")
        self.start = PartBox("speech.training.model", "Model to start from", FRESH)
        self.ear = PartBox("speech.training.ear", "Ear", "None")
        self.eye = PartBox("speech.training.eye", "Eye", "None")
        self.llm = PartBox("speech.training.llm", "Language model")
        self.sound = QLineEdit(objectName="speech.training.sound", accessibleName="Rates of sound")
        self.lips = QLineEdit(objectName="speech.training.lips", accessibleName="Rates of lips")
        self.name = QLineEdit(objectName="speech.training.name", accessibleName="Name of the new model")
        self.steps = whole_field("speech.training.steps", "Steps", 1, 1_000_000, 100)
        self.batch = whole_field("speech.training.batch", "Clips in a step", 1, 512)
        self.rate = decimal_field("speech.training.rate", "Learning rate", 1e-6, 1.0, 1e-4, 6)
        self.heldout = decimal_field("speech.training.heldout", "Share kept apart", 0.0, 0.9, 0.05, 2)
        self.seed = whole_field("speech.training.seed", "Seed", 0, 2**31 - 1)
        self.noisy = QCheckBox("Put babble under some clips", objectName="speech.training.noisy")
        self._means = tiny("speech.training.means")
        self.train = QPushButton("Train", objectName="speech.training.train")
        self.train.setAccessibleName("Train a model of speech")
        self.train.setProperty("role", "primary")
        self.leave = QPushButton("Close", objectName="speech.training.close")
        self.learning = SpeechLearning(training)
        self._compose()
        self._connect()
        self._show()

    def present(self) -> None:
        self.show()
        self.activateWindow()
        self.data.setFocus(Qt.FocusReason.PopupFocusReason)

    def _compose(self) -> None:
        self.name.setMaxLength(64)
        what_for = tiny()
        what_for.setText(WHAT_FOR)
        more = QWidget()
        learning = {"Clips in a step": self.batch, "Learning rate": self.rate}
        more.setLayout(rows({**learning, "Share kept apart": self.heldout, "Seed": self.seed}, WIDE))
        self.more = Fold("speech.training.more", "More", "More settings of the training", more)
        self._form = QWidget()
        form = QVBoxLayout(self._form)
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(8)
        form.addWidget(what_for)
        fields = {
            "Data": self.data, "Name": self.name, "Start": self.start, "Ear": self.ear, "Eye": self.eye,
            "Language model": self.llm, "Rates of sound": self.sound, "Rates of lips": self.lips,
            "Steps": self.steps,
        }  # fmt: skip
        self._fields = rows(fields, WIDE)
        form.addLayout(self._fields)
        form.addWidget(self.noisy)
        form.addWidget(self.more, 0, Qt.AlignmentFlag.AlignLeft)
        form.addWidget(more)
        form.addWidget(self._means)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch(1)
        for button in (self.leave, self.train):
            button.setAutoDefault(False)
            buttons.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 16)
        column.setSpacing(12)
        column.addWidget(self._form)
        column.addWidget(self.learning, 1)
        column.addStretch(0)
        column.addLayout(buttons)

    def _connect(self) -> None:
        training = self._training
        self.data.clicked.connect(self._choose_data)
        self.start.chosen.connect(lambda name: training.set(model=name))
        self.ear.chosen.connect(lambda name: training.set(ear=name))
        self.eye.chosen.connect(lambda name: training.set(eye=name))
        self.llm.chosen.connect(lambda name: training.set(llm=name))
        self.sound.textEdited.connect(lambda words: training.set(audio_rates=words))
        self.lips.textEdited.connect(lambda words: training.set(video_rates=words))
        self.name.textEdited.connect(lambda name: training.set(name=name))
        self.steps.valueChanged.connect(lambda steps: training.set(steps=steps))
        self.batch.valueChanged.connect(lambda size: training.set(batch_size=size))
        self.rate.valueChanged.connect(lambda rate: training.set(learning_rate=rate))
        self.heldout.valueChanged.connect(lambda share: training.set(heldout=share))
        self.seed.valueChanged.connect(lambda seed: training.set(seed=seed))
        self.noisy.toggled.connect(lambda on: training.set(noisy=on))
        self.train.clicked.connect(training.train)
        self.leave.clicked.connect(self.close)
        training.planned.connect(self._show)
        training.changed.connect(self._show)

    def _choose_data(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Choose data", "", "JSON lines (*.jsonl);;All files (*)")
        if path:
            self._training.set(data=path)

    def _show(self) -> None:
        training, plan = self._training, self._training.plan
        self.data.setText(plan.data.rpartition("/")[2] or "Choose data")
        self.data.setToolTip(plan.data)
        models = training.models
        whole = [card.name for card in models.cards.values() if card.kind in ("demo", "llama-avsr")]
        self.start.offer(whole, plan.model)
        for part, box, chosen in (
            ("ear", self.ear, plan.ear), ("eye", self.eye, plan.eye), ("llm", self.llm, plan.llm),
        ):  # fmt: skip
            box.offer(part_choices(part, models, training.bases), chosen)
        for field in (self.ear, self.eye, self.llm, self.sound, self.lips):
            field.setVisible(not plan.model)
            self._fields.itemAt(self._fields.indexOf(field) - 1).widget().setVisible(not plan.model)
        for line, words in (
            (self.name, plan.name),
            (self.sound, plan.audio_rates),
            (self.lips, plan.video_rates),
        ):
            if line.text() != words:
                line.setText(words)
        self.name.setPlaceholderText(training.free_name)
        self._show_numbers()
        self._means.setText(training.why_not or training.sentence)
        self.train.setEnabled(not training.why_not)
        self._form.setVisible(not training.is_open)
        self.train.setVisible(not training.is_open)

    def _show_numbers(self) -> None:
        plan = self._training.plan
        fields = (self.steps, self.batch, self.rate, self.heldout, self.seed)
        values = (plan.steps, plan.batch_size, plan.learning_rate, plan.heldout, plan.seed)
        with quietly(*fields, self.noisy):
            for field, value in zip(fields, values, strict=True):
                field.setValue(value)
            self.noisy.setChecked(plan.noisy)

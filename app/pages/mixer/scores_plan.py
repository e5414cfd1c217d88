"""What the next scoring is of: the mix, its test sets, the arms; at the foot what it costs, and its run."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.pages.data_box import CHOOSE, DATA_FILES
from app.pages.fields import fill, heading, narrow, quietly, rows, tiny
from app.pages.mixer.scores_run import RunBox
from app.presenters.mixer import Mixer
from app.presenters.playing import listed
from app.presenters.scores import Scores
from app.presenters.scoring_plan import ARMS, LEARNING, METRICS
from app.presenters.standings import short
from app.presenters.stock import HELD_OUT
from app.words import count
from engine.messages import Arm, DataSet
from widgets.choice import Choice
from widgets.icon_button import IconButton
from widgets.number_field import whole_field

__all__ = ["PlanPanel"]

ADD = "Add a test set"
NO_TRAIN = "Train on nothing"
MOST_ROWS = 100_000


class PlanPanel(QWidget):
    """The left side of the score page."""

    def __init__(self, mixer: Mixer, scores: Scores, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mixer, self._scores = mixer, scores
        self._shown: list[DataSet] = []
        self.setObjectName("mixer.scores.plan")
        self.setAccessibleName("What to score")
        self.setMinimumWidth(280)
        self.mix = narrow(QComboBox(objectName="mixer.scores.mix", accessibleName="Mix to score"))
        self.add = narrow(QComboBox(objectName="mixer.scores.add", accessibleName=ADD))
        self.train = narrow(QComboBox(objectName="mixer.scores.train", accessibleName="Training data"))
        self.limit = whole_field("mixer.scores.limit", "Rows of each set", 0, MOST_ROWS)
        self.limit.setSpecialValueText("All")
        self.limit.setSingleStep(50)
        self.limit.setToolTip("At most so many rows of each set; more rows, narrower intervals. 0 is all")
        self.measure = Choice("mixer.scores.metric", "Measure", METRICS)
        self.examples = whole_field("mixer.scores.examples", "Training examples at most", 1, MOST_ROWS)
        self.examples.setSingleStep(100)
        self.examples.setToolTip("Every arm that learns is given the same rows, at most so many")
        self._lessons = QWidget()
        self._whole = tiny("mixer.scores.whole")
        self._cost = QLabel(wordWrap=True)
        self._cost.setProperty("role", "tiny")
        self.arms: dict[Arm, QCheckBox] = {}
        self.run = RunBox(scores)
        self._sets = QVBoxLayout()
        self._compose()
        self._connect()
        self._show()

    def _compose(self) -> None:
        settings = QWidget()
        upper = QVBoxLayout(settings)
        upper.setContentsMargins(16, 16, 16, 8)
        upper.setSpacing(8)
        self._sets.setSpacing(0)
        upper.addWidget(heading("Mix"))
        upper.addWidget(self.mix)
        upper.addWidget(self._whole)
        upper.addSpacing(8)
        upper.addWidget(heading("Test sets"))
        upper.addLayout(self._sets)
        upper.addWidget(self.add)
        upper.addLayout(rows({"Rows of each set": self.limit}))
        upper.addSpacing(8)
        upper.addWidget(heading("Measure"))
        upper.addWidget(self.measure)
        upper.addSpacing(8)
        upper.addWidget(heading("Arms"))
        for arm in ARMS:
            if arm not in LEARNING:
                upper.addLayout(self._arm(arm))
        upper.addSpacing(8)
        upper.addWidget(heading("Arms that learn"))
        for arm in LEARNING:
            upper.addLayout(self._arm(arm))
        upper.addWidget(self._cost)
        lessons = QVBoxLayout(self._lessons)
        lessons.setContentsMargins(0, 0, 0, 0)
        lessons.setSpacing(8)
        lessons.addWidget(self.train)
        lessons.addLayout(rows({"Examples at most": self.examples}))
        upper.addWidget(self._lessons)
        upper.addStretch(1)
        area = QScrollArea(widgetResizable=True)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(settings)
        foot = QVBoxLayout()
        foot.setContentsMargins(16, 0, 16, 16)
        foot.addWidget(self.run)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(area, 1)
        column.addLayout(foot)

    def _arm(self, arm: Arm) -> QVBoxLayout:
        words, explanation = ARMS[arm]
        box = QCheckBox(words, objectName=f"mixer.scores.arm.{arm}", accessibleName=words)
        box.setAccessibleDescription(explanation)
        box.toggled.connect(lambda on: self._scores.set_arm(arm, on))
        self.arms[arm] = box
        note = QLabel(explanation)
        note.setProperty("role", "tiny")
        note.setContentsMargins(31, 0, 0, 0)
        note.setBuddy(box)
        column = QVBoxLayout()
        column.setSpacing(0)
        column.addWidget(box)
        column.addWidget(note)
        return column

    def _connect(self) -> None:
        scores = self._scores
        self.mix.activated.connect(lambda _: self._mixer.open_mix(str(self.mix.currentData())))
        self.add.activated.connect(self._add)
        self.train.activated.connect(self._choose_train)
        self.limit.valueChanged.connect(lambda rows: scores.set_plan(limit=rows or None))
        self.measure.chosen.connect(lambda metric: scores.set_plan(metric=metric))
        self.examples.valueChanged.connect(lambda most: scores.set_plan(examples=most))
        scores.changed.connect(self._show)

    # values in

    def _show(self) -> None:
        scores, plan = self._scores, self._scores.plan
        base = self._mixer.desk.base or self._mixer.base
        names = [card.name for card in self._mixer.stock.mixes.values() if base in ("", card.base)]
        fill(self.mix, [(name, name) for name in names], scores.mix.name if scores.mix else "")
        self.mix.setPlaceholderText("Open a mix" if names else "There is no mix yet")
        has_mix = scores.mix is not None
        account = self._mixer.playing.account("scoring", self._mixer.ranks_of_mix)
        self._whole.setText(account if has_mix else "")
        self._whole.setVisible(bool(self._whole.text()))
        with quietly(self.limit, self.examples, *self.arms.values()):
            self.limit.setValue(plan.limit or 0)
            self.examples.setValue(plan.examples)
            for arm, box in self.arms.items():
                box.setChecked(arm in plan.arms)
        self.measure.choose(plan.metric)
        for part in (self.add, self.limit, self.measure, self._lessons, *self.arms.values()):
            part.setEnabled(has_mix)
        self._show_sets()
        self._show_train()

    def _show_sets(self) -> None:
        sets = self._scores.sets if self._scores.mix else []
        if sets != self._shown:
            had_focus = self._empty_sets()
            for data in sets:
                self._sets.addLayout(self._set(data))
            self._shown = sets
            if had_focus:
                self.add.setFocus(Qt.FocusReason.OtherFocusReason)
        items = [(f"{short(data.name)}  ({data.rows:,})", data.path) for data in self._scores.offered]
        fill(self.add, [*items, (CHOOSE, CHOOSE)], "")
        self.add.setPlaceholderText(ADD)

    def _empty_sets(self) -> bool:
        """Take the rows of the sets away; whether one of them had the keyboard."""
        had_focus = False
        while self._sets.count():
            row = self._sets.takeAt(0).layout()
            while row.count():
                part = row.takeAt(0).widget()
                had_focus = had_focus or part.hasFocus()
                part.hide()
                part.deleteLater()
        return had_focus

    def _set(self, data: DataSet) -> QHBoxLayout:
        name = QLabel(short(data.name), toolTip=data.description or data.path)
        rows = QLabel(count(data.rows, "row"))
        rows.setProperty("role", "dim")
        words = f"Do not score on {short(data.name)}"
        remove = IconButton("close", words, f"mixer.scores.remove.{data.name}")
        remove.setIconSize(QSize(14, 14))
        remove.clicked.connect(lambda: self._scores.remove_set(data.path))
        line = QHBoxLayout()
        line.setSpacing(8)
        line.addWidget(name, 1)
        line.addWidget(rows)
        line.addWidget(remove)
        return line

    def _show_train(self) -> None:
        chosen = self._scores.train
        sets = [data for data in self._mixer.stock.sets if not data.name.endswith(HELD_OUT)]
        if chosen is not None and chosen not in sets:
            sets.append(chosen)
        items = [(f"{data.name}  ({data.rows:,})", data.path) for data in sets]
        fill(self.train, [(NO_TRAIN, ""), *items, (CHOOSE, CHOOSE)], chosen.path if chosen else "")
        learning = self._scores.plan.learning
        self._lessons.setVisible(bool(learning))
        are = "is" if len(learning) == 1 else "are"
        self._cost.setText(
            "Tick one to train it first on data of your choice; that takes the longest."
            if not learning
            else f"{listed(learning)} {are} trained first, on:"
            if chosen is not None
            else f"{listed(learning)} {are} left out without data to learn from:"
        )

    # files

    def _add(self) -> None:
        path = str(self.add.currentData())
        self.add.setCurrentIndex(-1)
        if path == CHOOSE:
            self.choose_file()
        else:
            self._scores.add_set(path)

    def choose_file(self) -> None:
        """Ask for a file to score on; it is read to its end before it is taken."""
        path, _ = QFileDialog.getOpenFileName(self, "Choose test data", "", DATA_FILES)
        if path:
            self._scores.add_set(path)

    def _choose_train(self) -> None:
        path = str(self.train.currentData())
        if path == CHOOSE:
            self._show_train()
            path, _ = QFileDialog.getOpenFileName(self, "Choose training data", "", DATA_FILES)
            if not path:
                return
        self._scores.choose_train(path)

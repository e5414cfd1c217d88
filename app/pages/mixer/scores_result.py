"""What a scoring found: who wins in one sentence, the picture, and the table that it is of."""

from __future__ import annotations

from datetime import datetime

from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QGuiApplication, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QScrollArea,
    QSplitter,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from app.models.standings import Sorted, StandingsTable
from app.pages.fields import fill, heading
from app.presenters.scores import Scores
from app.presenters.standings import OURS, Standings, short
from engine.messages import ArmScore, Job
from widgets.flow import Flow
from widgets.icon_button import WordButton
from widgets.interval_chart import IntervalChart, IntervalRow

__all__ = ["ResultPanel"]

MEAN = 1
CHIP = (
    "QPushButton { padding: 2px 8px; min-height: 18px }"
    "QPushButton:focus, QPushButton:checked { padding: 1px 7px }"
)
HOW_TO_READ = (
    "Dot: mean of the test sets, each weighing the same. Line: its 95 % interval. Hairline: the oracle, "
    "the best expert of each set, picked on these very rows. Where lines overlap, arms may still differ: all "
    "answered the same rows, and 'Beside the mix' is the difference on each of them."
)


class ResultPanel(QWidget):
    """The right side of the score page. Picture and table have one order and one current row."""

    def __init__(self, scores: Scores, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scores = scores
        self._shown: Standings | None = None
        self._chips: dict[str, QPushButton] = {}
        self.earlier = QComboBox(objectName="mixer.scores.earlier", accessibleName="Result shown")
        self.earlier.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self._sentence = QLabel(objectName="mixer.scores.sentence", wordWrap=True)
        self._sentence.setProperty("role", "heading")
        self._sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._caption = QLabel(objectName="mixer.scores.caption", wordWrap=True)
        self._caption.setProperty("role", "dim")
        self.chart = IntervalChart("Scores as a picture")
        self.chart.setObjectName("mixer.scores.chart")
        self._read = QLabel(objectName="mixer.scores.read", wordWrap=True)
        self._read.setProperty("role", "tiny")
        self._legend = Flow()
        self._model = StandingsTable(self)
        self._sorted = Sorted(self._model, self)
        self.table = QTableView(objectName="mixer.scores.table", accessibleName="Scores as a table")
        self._compose()
        self._connect()
        self._show()

    def _compose(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(heading("Scores"))
        head.addWidget(self.earlier)
        head.addStretch(1)
        for words, name, act in (
            ("Copy as Markdown", "markdown", self.copy_markdown),
            ("Copy as CSV", "csv", self.copy_csv),
        ):
            button = WordButton("copy", words, f"mixer.scores.{name}")
            button.clicked.connect(act)
            head.addWidget(button)
        area = QScrollArea(widgetResizable=True)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(self.chart)
        how = QLabel(HOW_TO_READ, wordWrap=True)
        how.setProperty("role", "tiny")
        picture = self._picture = QWidget()
        upper = QVBoxLayout(picture)
        upper.setContentsMargins(0, 0, 0, 8)
        upper.setSpacing(4)
        upper.addWidget(area, 1)
        upper.addWidget(self._read)
        upper.addLayout(self._legend)
        upper.addWidget(how)
        self._compose_table()
        split = QSplitter(Qt.Orientation.Vertical, objectName="mixer.split.scores.result")
        split.setChildrenCollapsible(False)
        split.addWidget(picture)
        split.addWidget(self.table)
        split.setStretchFactor(0, 0)
        split.setStretchFactor(1, 1)
        split.setSizes([440, 150])
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(8)
        column.addLayout(head)
        column.addWidget(self._sentence)
        column.addWidget(self._caption)
        column.addWidget(split, 1)

    def _compose_table(self) -> None:
        table = self.table
        table.setModel(self._sorted)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setSortingEnabled(True)
        table.setShowGrid(False)
        table.setTabKeyNavigation(False)
        table.setWordWrap(False)
        table.setMinimumHeight(96)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(26)
        table.horizontalHeader().setHighlightSections(False)
        table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)

    def _connect(self) -> None:
        self._scores.changed.connect(self._show)
        self.earlier.activated.connect(lambda _: self._scores.choose(str(self.earlier.currentData())))
        self.chart.current_changed.connect(self._go_to)
        self.chart.read.connect(self._read.setText)
        self.table.selectionModel().currentChanged.connect(self._follow)
        self._sorted.layoutChanged.connect(self._draw)

    # values in

    def _show(self) -> None:
        chosen, standings = self._scores.chosen, self._scores.standings
        if chosen is None or standings is None:
            return
        fill(self.earlier, [(when(job), job.id) for job in self._scores.earlier], chosen.id)
        if standings == self._shown:
            return
        self._shown = standings
        self._sentence.setText(standings.sentence)
        self._caption.setText(standings.caption)
        self._model.show(standings)
        best_first = (
            Qt.SortOrder.AscendingOrder if standings.lower_is_better else Qt.SortOrder.DescendingOrder
        )
        self.table.sortByColumn(MEAN, best_first)
        self._offer_parts([short(name) for name in standings.sets])
        self._draw()
        self.table.selectRow(0)

    def _draw(self) -> None:
        """The picture, in the table's order."""
        standings = self._shown
        if standings is None:
            return
        arms = self._sorted.arms()
        oracle = standings.oracle
        most = max((arm.interval[1] for arm in arms), default=1.0) if standings.lower_is_better else 1.0
        self.chart.set_rows(
            [_row(arm, standings.places) for arm in arms], oracle.value if oracle else None, most
        )
        self._bound_picture()
        self.table.clearSpans()
        for row, arm in enumerate(arms):
            if arm.missing:
                self.table.setSpan(row, MEAN, 1, self._model.columnCount() - MEAN)

    def _bound_picture(self) -> None:
        """Let the picture be no higher than all of its rows and words; what is left is the table's."""
        layout = self._picture.layout()
        _, *words = (layout.itemAt(place) for place in range(layout.count()))
        heights = [part.heightForWidth(self._picture.width()) for part in words]
        room = sum(heights) + len(words) * layout.spacing() + layout.contentsMargins().bottom()
        self._picture.setMaximumHeight(self.chart.sizeHint().height() + room)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._bound_picture()

    def _offer_parts(self, names: list[str]) -> None:
        """A chip to a test set: its dots are brought out in every row while it is pressed."""
        if list(self._chips) == names:
            return
        self._chips = {}
        for name in names:
            chip = QPushButton(name, checkable=True, objectName=f"mixer.scores.part.{name}")
            chip.setStyleSheet(CHIP)
            chip.setAccessibleName(f"Bring out {name} in the picture")
            chip.toggled.connect(lambda on, name=name: self._bring_out(name, on))
            self._chips[name] = chip
        label = QLabel("Bring out")
        label.setProperty("role", "tiny")
        label.setFixedHeight(24)
        self._legend.fill([label, *self._chips.values()])

    def _bring_out(self, name: str, on: bool) -> None:
        for other, chip in self._chips.items():
            if on and other != name:
                chip.blockSignals(True)
                chip.setChecked(False)
                chip.blockSignals(False)
        self.chart.bring_out(name if on else "")

    # one row, seen in both places

    def _go_to(self, key: str) -> None:
        self.table.selectRow(self._sorted.row_of(key))

    def _follow(self, index: QModelIndex) -> None:
        arms = self._sorted.arms()
        if index.isValid() and index.row() < len(arms):
            self.chart.set_current(arms[index.row()].name)

    # elsewhere

    def copy_markdown(self) -> None:
        if self._shown is not None:
            QGuiApplication.clipboard().setText(self._shown.markdown)

    def copy_csv(self) -> None:
        if self._shown is not None:
            QGuiApplication.clipboard().setText(self._shown.csv)


def _row(arm: ArmScore, places: int) -> IntervalRow:
    return IntervalRow(
        key=arm.name,
        label=arm.label,
        value=arm.value,
        low=arm.interval[0],
        high=arm.interval[1],
        parts={short(name): figures[0] for name, figures in arm.sets.items()},
        is_ours=arm.arm in OURS,
        missing=arm.missing,
        places=places,
    )


def when(job: Job) -> str:
    """When a result was made: "22 Nov, 11:38"."""
    return datetime.fromtimestamp(job.created).strftime("%d %b, %H:%M") if job.created else job.name

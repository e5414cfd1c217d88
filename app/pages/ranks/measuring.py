"""Above the charts: what quality is measured on, the button, the progress, and what came of it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from app.pages.data_box import DataBox
from app.pages.fields import fill, narrow, quietly
from app.pages.ranks.hues import hue_of
from app.presenters.measured import Measured, order_words
from app.presenters.rank_curve import Doing, RankCurves
from widgets.choice import Choice
from widgets.number_field import whole_field
from widgets.painting import hue_colour
from widgets.theme import theme

__all__ = ["MeasuringBar"]

METRICS = {
    "exact": ("Exact", "The share of rows whose answer is exactly the one in the data"),
    "loss": ("Loss", "Nats per token of the answers in the data; less is better"),
}
AURAC = (
    "Area under the curve over log2 rank, divided by its width: the mean when every doubling of the rank "
    "counts the same"
)
LOSS_AREA = "Mean over log2 rank"
ALONE = "Alone"
INSET = 24
# Below this the boxes need the room of the words before them.
ROOMY = 792


class MeasuringBar(QWidget):
    """One line of choices and the button; while it measures, progress and a way out."""

    def __init__(self, curves: RankCurves, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._curves = curves
        self.setObjectName("ranks.measuring")
        self.data = DataBox("ranks.measuring.data", "Data to measure on")
        self.kind = Choice("ranks.measuring.metric", "Quality is", METRICS)
        self.rows = whole_field("ranks.measuring.rows", "Rows at most", 10, 100_000, 50)
        self.rows.setToolTip("At most so many rows of the data; more rows give narrower intervals")
        self.every = QCheckBox("Every order", objectName="ranks.measuring.every")
        self.every.setToolTip("Measure every order that an adapter may have, one after the other")
        self.beside = narrow(QComboBox(objectName="ranks.measuring.beside", accessibleName="Drawn beside it"))
        self.beside.setToolTip("Another adapter, measured on the same rows and drawn in the same picture")
        self.measure = QPushButton("Measure", objectName="ranks.measuring.measure")
        self.measure.setAccessibleName("Measure quality at every rank")
        self.progress = QProgressBar(
            objectName="ranks.measuring.progress", accessibleName="Progress of measuring", textVisible=False
        )
        self.cancel = QPushButton("Cancel", objectName="ranks.measuring.cancel")
        self.cancel.setAccessibleName("Cancel measuring")
        self._doing = QLabel(objectName="ranks.measuring.doing")
        self._doing.setProperty("role", "dim")
        self._sentence = QLabel(objectName="ranks.measuring.sentence", wordWrap=True)
        self._area = QLabel(objectName="ranks.measuring.aurac", alignment=Qt.AlignmentFlag.AlignRight)
        for label in (self._sentence, self._area):
            label.setProperty("role", "tiny")
        self._compose()
        self._connect()
        self._show()

    def _compose(self) -> None:
        top = QWidget()
        self._stack = QStackedLayout(top)
        self._stack.addWidget(self._choices())
        self._stack.addWidget(self._running())
        said = QHBoxLayout()
        said.setSpacing(16)
        said.addWidget(self._sentence, 1)
        said.addWidget(self._area)
        column = QVBoxLayout(self)
        column.setContentsMargins(INSET, 0, INSET, 0)
        column.setSpacing(4)
        column.addWidget(top)
        column.addLayout(said)

    def _choices(self) -> QWidget:
        self._label = QLabel("Quality on")
        self._label.setBuddy(self.data)
        self._label.setProperty("role", "dim")
        self._label.setMinimumWidth(1)  # it makes room before the page refuses to be narrower
        self.data.setMinimumWidth(96)
        for button in self.kind.buttons.values():
            button.ensurePolished()
            button.setMinimumWidth(button.sizeHint().width())
        self.data.setMaximumWidth(320)
        self.beside.setMaximumWidth(240)
        self.rows.setFixedWidth(84)
        self.beside.setMinimumWidth(88)
        line = QWidget()
        row = QHBoxLayout(line)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self._label)
        row.addWidget(self.data, 3)
        for part in (self.kind, self.rows, self.every):
            row.addWidget(part)
        row.addWidget(self.beside, 2)
        row.addStretch(0)  # only what the boxes leave at their widest
        row.addWidget(self.measure)
        return line

    def _running(self) -> QWidget:
        running = QWidget()
        row = QHBoxLayout(running)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        row.addWidget(self._doing)
        row.addWidget(self.progress, 1)
        row.addWidget(self.cancel)
        return running

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._label.setVisible(self.width() >= ROOMY)

    def _connect(self) -> None:
        curves = self._curves
        self.data.chosen.connect(curves.choose_data)
        self.kind.chosen.connect(lambda metric: curves.set(metric=metric))
        self.rows.valueChanged.connect(lambda rows: curves.set(rows=rows))
        self.every.toggled.connect(lambda on: curves.set(every_order=on))
        self.beside.activated.connect(lambda _: curves.set(beside=self.beside.currentData()))
        self.measure.clicked.connect(self._measure)
        self.cancel.clicked.connect(self._cancel)
        curves.changed.connect(self._show)
        theme.changed.connect(self._show_areas)

    def _measure(self) -> None:
        if self._curves.measure():
            self.cancel.setFocus(Qt.FocusReason.OtherFocusReason)

    def _cancel(self) -> None:
        self._curves.cancel()
        self.cancel.setEnabled(False)

    # values in

    def _show(self) -> None:
        curves, plan = self._curves, self._curves.plan
        self.data.offer(curves.offered, curves.data)
        self.kind.choose(plan.metric)
        with quietly(self.rows, self.every):
            self.rows.setValue(plan.rows)
            self.every.setChecked(plan.every_order)
        self.every.setVisible(curves.has_orders)
        others = [(f"beside {card.name}", card.name) for card in curves.others]
        fill(self.beside, [(ALONE, ""), *others], plan.beside)
        self.measure.setEnabled(not curves.why_not)
        self.measure.setToolTip(curves.why_not)
        self._sentence.setText(curves.sentence or curves.why_not)
        self._show_areas()
        self._show_doing(curves.doing)

    def _show_areas(self) -> None:
        """One number to a curve: the area under it."""
        curves = self._curves
        shown = curves.shown
        what = LOSS_AREA if curves.plan.metric == "loss" else "AURAC"
        named = ", ".join(f"{curves.label(each)} {each.aurac:.3f}" for each in shown)
        self._area.setVisible(bool(shown))
        self._area.setToolTip(f"{AURAC}.\n{named}")
        self._area.setAccessibleName(f"{what}: {named}")
        numbers = "&ensp;".join(self._area_of(each, len(shown) > 1) for each in shown)
        self._area.setText(f"{what}&ensp;{numbers}" if shown else "")

    def _area_of(self, measured: Measured, is_coloured: bool) -> str:
        colour = hue_colour(hue_of(self._curves.ranks, measured)).name()
        square = f'<span style="color:{colour}">■</span>&nbsp;' if is_coloured else ""
        return f'{square}<span style="color:{theme.tokens.text};font-weight:600">{measured.aurac:.3f}</span>'

    def _show_doing(self, doing: Doing | None) -> None:
        had_focus = self.cancel.hasFocus()
        self._stack.setCurrentIndex(0 if doing is None else 1)
        if doing is None:
            if had_focus:
                self.measure.setFocus(Qt.FocusReason.OtherFocusReason)
            self.cancel.setEnabled(True)
            return
        card = self._curves.ranks.stock.adapters.get(doing.adapter)
        order = f", {order_words(card, doing.order).lower()}" if card is not None else ""
        more = f", {doing.left} more to come" if doing.left else ""
        answers = f": {doing.done:,} of {doing.total:,} answers" if doing.total else ""
        self._doing.setText(doing.said or f"{doing.adapter}{order}{answers}{more}")
        self.progress.setRange(0, doing.total)
        self.progress.setValue(doing.done)
        self.progress.setAccessibleDescription(self._doing.text())

"""Above a column: which sense it is, how well it did, and the button that asks it."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QWidget

from app.pages.speech.senses import ASKING, HUES, MARKS
from app.presenters.transcript_columns import SENSES, Column
from app.words import duration, percent
from engine.messages import SpeechMode, Transcript
from widgets.icon_button import IconButton
from widgets.snr_plot import paint_mark
from widgets.theme import theme

__all__ = ["ColumnHead"]


class ColumnHead(QWidget):
    """``asked(mode)``: a person wants this sense's words."""

    asked = Signal(str)

    def __init__(self, mode: SpeechMode, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(f"speech.head.{mode}")
        title = QLabel(SENSES[mode])
        title.setProperty("role", "heading")
        self._said = self._brief = ""
        self._figure = QLabel(objectName=f"speech.head.{mode}.figure")
        self._figure.setProperty("role", "tiny")
        self._figure.setMinimumWidth(1)
        self.ask = IconButton("play", ASKING[mode], f"speech.ask.{mode}")
        self.ask.clicked.connect(lambda: self.asked.emit(mode))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(Mark(mode))
        row.addWidget(title)
        row.addWidget(self._figure, 1)
        row.addWidget(self.ask)

    def show_column(self, column: Column, why_not: str) -> None:
        beside = f"{column.sentence} {column.hint}".strip() if column.words else ""
        self._said, self._brief = beside or _figure(column), beside or _brief(column)
        self._fit()
        self._figure.setToolTip("\n".join(part for part in (beside, _figure(column), _cost(column)) if part))
        self._figure.setAccessibleName(self._said)
        self.ask.setEnabled(not why_not and column.state != "lacking" and not column.is_open)
        self.ask.draw("retry" if column.transcript is not None else "play")

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        room, metrics = self._figure.width(), self._figure.fontMetrics()
        said = self._said if metrics.horizontalAdvance(self._said) <= room else self._brief
        self._figure.setText(metrics.elidedText(said, Qt.TextElideMode.ElideRight, room))


class Mark(QWidget):
    """The circle, square or triangle that the same sense has in the picture of errors."""

    def __init__(self, mode: SpeechMode) -> None:
        super().__init__()
        self._mode = mode
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(12, 12)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_mark(painter, QPointF(6, 6), HUES[self._mode], MARKS[self._mode])
        painter.end()


def _figure(column: Column) -> str:
    """Where it is, or how well it went: "1 of 6 wrong"."""
    if column.state == "waiting":
        return "waiting"
    if column.state == "hearing":
        return f"{duration(column.until)} of {duration(column.seconds)}"
    said = column.transcript
    if said is None:
        return ""
    if column.stale:
        return "of an older question"
    if said.wer is None:
        return f"{said.took:.1f} s"
    wrong, meant = _errors(said)
    return f"{wrong} of {meant} wrong"


def _brief(column: Column) -> str:
    """As ``_figure``, where there is little room: "1 of 6"."""
    return _figure(column).removesuffix(" wrong")


def _errors(said: Transcript) -> tuple[int, int]:
    """How many words are wrong, of how many."""
    return sum(step.op != "equal" for step in said.steps), sum(step.op != "insert" for step in said.steps)


def _cost(column: Column) -> str:
    said = column.transcript
    if said is None:
        return ""
    looking = f", {said.looking:.1f} s of it to find the mouth" if said.looking else ""
    speed = f" ({said.took / said.seconds:.2f} of the clip's length)" if said.seconds else ""
    rate = f"Word error rate {percent(said.wer)}. " if said.wer is not None else ""
    return f"{rate}Took {said.took:.1f} s{speed}{looking}. The language model read {said.tokens:,} tokens."

"""One answer on the score: who speaks, how it went, and the text as it comes."""

from __future__ import annotations

from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from app.presenters.answers import Answer
from widgets.painting import fill_hue
from widgets.theme import theme
from widgets.token_view import TokenView

__all__ = ["AnswerColumn"]


class AnswerColumn(QWidget):
    """``hue`` None is an answer that is nobody's own: the base's, the mix's."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._hue: int | None = None
        self._title = QLabel(name)
        self._title.setProperty("role", "heading")
        self._note = QLabel(wordWrap=True)
        self._note.setProperty("role", "tiny")
        self._note.setMinimumHeight(16)
        self.text = TokenView()
        self.text.setAccessibleName(f"Answer of {name}")
        self.setObjectName(f"mixer.answer.{name}.column")
        self.text.setObjectName(f"mixer.answer.{name}")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 8, 0, 0)
        column.setSpacing(2)
        column.addWidget(self._title)
        column.addWidget(self._note)
        column.addWidget(self.text, 1)
        self.setMinimumWidth(64)
        theme.changed.connect(self.update)

    def set_hue(self, hue: int | None) -> None:
        if hue != self._hue:
            self._hue = hue
            self.update()

    def set_title(self, words: str, tip: str = "") -> None:
        self._title.setText(words)
        self._title.setToolTip(tip)

    def show_state(self, answer: Answer) -> None:
        """Say how the answer stands; what it says is written token by token."""
        if answer.state in ("idle", "failed"):
            self.text.restart()
        self.text.set_faded(answer.stale)
        match answer.state:
            case "waiting":
                self._note.setText("asking")
            case "streaming":
                self._note.setText("speaking")
            case "failed" if answer.error is not None:
                self._note.setText(f"{answer.error.message} {answer.error.hint}".strip())
            case "done" if not answer.tokens:
                self._note.setText("says nothing")
            case "done" if answer.speed:
                self._note.setText(f"{answer.speed:.0f} tokens/s")
            case _:
                self._note.setText("")

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        line = QRectF(0, 0, self.width(), 2)
        if self._hue is None:
            painter.fillRect(line, theme.colour("line"))
        else:
            fill_hue(painter, line, self._hue)
        painter.end()

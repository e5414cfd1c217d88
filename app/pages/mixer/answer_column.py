"""One answer on the score: who speaks, at which rank, how it went, and the text as it comes."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from app.presenters.answer import Answer
from widgets.painting import fill_hue
from widgets.rank_steps import RankSteps
from widgets.theme import theme
from widgets.token_view import TokenView

__all__ = ["AnswerColumn"]

# The margins of the text view and of the small slider: words above begin where theirs do.
INSET = 4


class AnswerColumn(QWidget):
    """``hue`` None is an answer that is nobody's own: the base's, the mix's; only of an expert's own a rank
    is shown. ``rank_moved(rank)``: a person slid it, ``released``: and let it go.
    """

    rank_moved = Signal(int)
    released = Signal()

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._hue: int | None = None
        self._remark = ""
        self._title = QLabel(name)
        self._title.setProperty("role", "heading")
        self._note = QLabel(wordWrap=True)
        self._note.setProperty("role", "tiny")
        self._note.setMinimumHeight(16)
        for label in (self._title, self._note):
            label.setContentsMargins(INSET, 0, 0, 0)
        self.rank = RankSteps(name)
        has_room = self.rank.sizePolicy()
        has_room.setRetainSizeWhenHidden(True)  # so that all answers begin on one line
        self.rank.setSizePolicy(has_room)
        self.rank.hide()
        self.rank.moved.connect(self.rank_moved)
        self.rank.released.connect(self.released)
        self.text = TokenView()
        self.text.setAccessibleName(f"Answer of {name}")
        self.text.setMinimumHeight(28)
        self.setObjectName(f"mixer.answer.{name}.column")
        self.text.setObjectName(f"mixer.answer.{name}")
        self.rank.setObjectName(f"mixer.answer.{name}.rank")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 8, 0, 0)
        column.setSpacing(2)
        column.addWidget(self._title)
        column.addWidget(self._note)
        column.addWidget(self.rank, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self.text, 1)
        self.setMinimumWidth(64)
        theme.changed.connect(self.update)

    def hasHeightForWidth(self) -> bool:
        return False  # a long note takes its lines from the text, never from the prompt above

    def set_hue(self, hue: int | None) -> None:
        if hue != self._hue:
            self._hue = hue
            self.rank.set_hue(hue or 0)
            self.update()

    def set_rank(self, rank: int | None, ranks: tuple[int, int]) -> None:
        """At which of ``ranks`` (lowest, highest) the expert answers, None for all; of one nothing slides."""
        self.rank.set_rank(rank, ranks)
        self.rank.setVisible(self.rank.slides)

    def set_title(self, words: str, tip: str = "") -> None:
        """Who speaks; what follows a comma stands in the line below: "mix, still training"."""
        name, _, self._remark = words.partition(", ")
        self._title.setText(name)
        self._title.setToolTip(tip)
        self.text.setAccessibleName(f"Answer of {words}")

    def show_state(self, answer: Answer) -> None:
        """Say how the answer stands; what it says is written token by token."""
        if answer.state in ("idle", "failed"):
            self.text.restart()
        self.text.set_faded(answer.stale)
        self._note.setText(", ".join(words for words in (self._remark, _state(answer)) if words))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        line = QRectF(0, 0, self.width(), 2)
        if self._hue is None:
            painter.fillRect(line, theme.colour("line"))
        else:
            fill_hue(painter, line, self._hue)
        painter.end()


def _state(answer: Answer) -> str:
    """How an answer stands, in a few words; what failed, with its next step."""
    match answer.state:
        case "waiting":
            return "asking"
        case "streaming":
            return "speaking"
        case "failed" if answer.error is not None:
            return f"{answer.error.message} {answer.error.hint}".strip()
        case "done" if not answer.tokens:
            return "says nothing"
        case "done" if answer.speed:
            return f"{answer.speed:.0f} tokens/s"
    return ""

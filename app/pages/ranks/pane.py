"""One answer on the ranks page: of which rank it is, what that keeps, how fast it came, and the text."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from app.presenters.agreement import Agreement
from app.presenters.answer import Answer
from app.words import percent
from widgets.icon_button import IconButton
from widgets.painting import NULL_HUE
from widgets.rank_steps import RankSteps
from widgets.theme import theme
from widgets.token_view import TokenView

__all__ = ["NARROWEST", "RankPane"]

NARROWEST = 112
HEAD = 36
# Below this a pinned pane's title leaves no room for a slider of its own.
ROOMY = 150
# The text view's own margin: what stands above it begins where its words do.
INSET = 4
# What stands in the place of the energy, where that is not known.
NOTHING = {"base": "no adapter", "pinned": "pinned"}


class RankPane(QWidget):
    """``kind`` is base, live or pinned.

    Signals: ``pin_wanted``, ``unpin_wanted``; ``moved(rank)``: a pinned pane's own slider was moved.
    """

    pin_wanted = Signal()
    unpin_wanted = Signal()
    moved = Signal(int)

    def __init__(self, kind: str, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.kind = kind
        self.setObjectName(f"ranks.pane.{name}.column")
        self._title = QLabel()
        self._title.setProperty("role", "heading")
        self._title.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        self._note = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self._note.setProperty("role", "tiny")
        self._note.setMinimumHeight(32)
        self._note.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._kept = ""
        self.text = TokenView()
        self.text.setObjectName(f"ranks.pane.{name}")
        self.text.setMinimumHeight(28)
        self.steps: RankSteps | None = None
        self._button: IconButton | None = None
        self._note.setContentsMargins(INSET, 0, 0, 0)
        head = QWidget()
        head.setFixedHeight(HEAD)
        self._head = QHBoxLayout(head)
        self._head.setContentsMargins(INSET, 0, 0, 0)
        self._head.setSpacing(8)
        self._head.addWidget(self._title)
        self._compose_head(name)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(2)
        column.addWidget(head)
        column.addWidget(self._note)
        column.addWidget(self.text, 1)
        self.setMinimumWidth(NARROWEST)
        theme.changed.connect(self.update)

    def _compose_head(self, name: str) -> None:
        if self.kind == "pinned":
            self.steps = RankSteps("this pane", NULL_HUE, caption=False)
            self.steps.setObjectName(f"ranks.pane.{name}.steps")
            self.steps.setAccessibleName("Pinned rank")
            self.steps.moved.connect(self.moved)
            self._head.addWidget(self.steps, 1)
            self._head.addStretch(0)
            self._add_button("close", "Unpin this rank", f"ranks.pane.{name}.unpin", self.unpin_wanted)
        elif self.kind == "live":
            self._head.addStretch(1)
            self._add_button("pin", "Pin this rank  P", f"ranks.pane.{name}.pin", self.pin_wanted)
        else:
            self._head.addStretch(1)

    def _add_button(self, drawing: str, words: str, name: str, wanted: Signal) -> None:
        button = IconButton(drawing, words, name)
        button.setIconSize(QSize(16, 16))
        button.clicked.connect(wanted)
        self._head.addWidget(button)
        self._button = button

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self.steps is not None:
            self.steps.setVisible(self.width() >= ROOMY)

    def hasHeightForWidth(self) -> bool:
        return False  # a long note takes its lines from the text, never from the prompt above

    # values in

    def show_rank(self, rank: int | None, ranks: tuple[int, int], energy: float | None) -> None:
        """Of which of ``ranks`` (lowest, highest); ``energy`` is the share that it keeps, None where nobody
        knows."""
        words = "base" if rank is None else f"rank {rank}"
        self._kept = "" if energy is None else f"{percent(energy)} energy"
        self._title.setText(words)
        self.text.setAccessibleName(f"Answer of {words}{', live' if self.kind == 'live' else ''}")
        if self.steps is not None:
            self.steps.set_rank(rank, ranks, self._kept)
        if self._button is not None:
            # Several panes have such a button, and a reader hears only its name.
            self._button.setAccessibleName(f"{'Unpin' if self.kind == 'pinned' else 'Pin'} {words}")

    def show_answer(self, answer: Answer) -> None:
        """Write all that has been said so far."""
        self.text.write([spoken.text for spoken in answer.tokens])
        self.show_state(answer)

    def show_state(self, answer: Answer) -> None:
        """How the answer stands; what it says is written token by token."""
        if answer.state in ("idle", "failed"):
            self.text.restart()
        self.text.set_faded(answer.stale)
        about = ", ".join(words for words in ("live" if self.kind == "live" else "", self._kept) if words)
        lines = (
            (_state(answer),) if answer.state == "failed" else (about or NOTHING[self.kind], _state(answer))
        )
        self._note.setText("\n".join(lines))

    def show_agreement(self, agreement: Agreement) -> None:
        self.text.compare(agreement.agrees, agreement.parts)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(
            QRectF(0, 0, self.width(), 2), theme.colour("accent" if self.kind == "live" else "line")
        )
        painter.end()


def _state(answer: Answer) -> str:
    """How an answer stands, in a few words; what failed, with its next step."""
    match answer.state:
        case "failed" if answer.error is not None:
            return f"{answer.error.message} {answer.error.hint}".strip()
        case "waiting":
            return "asking"
        case "streaming":
            return "speaking"
        case "done" if not answer.tokens:
            return "says nothing"
        case "done" if answer.speed:
            return f"{answer.speed:.0f} tokens/s"
    return ""

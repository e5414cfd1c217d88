"""The score side: one prompt, its answers side by side, under them who spoke where, and beside them why."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSplitter, QVBoxLayout, QWidget

from app.pages.mixer.answer_column import AnswerColumn
from app.pages.mixer.prompt import Prompt
from app.pages.mixer.speakers import Speakers
from app.pages.mixer.why import WhyPane
from app.presenters.answer import Spoken
from app.presenters.answers import MIX
from app.presenters.mixer import Mixer
from widgets.gate_grid import certainty
from widgets.token_view import PLAIN

__all__ = ["Score"]

WHY = 272


class Score(QWidget):
    """``answers`` are the columns by pane, from left to right.

    ``explaining(width)``: the pane that says why has come and wants so much more room, or has gone (0).
    """

    explaining = Signal(int)

    def __init__(self, mixer: Mixer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mixer = mixer
        self.setObjectName("mixer.score")
        self.prompt = Prompt(mixer)
        self.speakers = Speakers(mixer)
        self.why = WhyPane("mixer.why", mixer)
        self._aside = QWidget()
        self.answers: dict[str, AnswerColumn] = {}
        self._columns = QHBoxLayout()
        self._compose()
        self._connect()
        self._show()

    def _compose(self) -> None:
        self._columns.setSpacing(12)
        top = QWidget()
        column = QVBoxLayout(top)
        column.setContentsMargins(16, 16, 16, 8)
        column.setSpacing(8)
        column.addWidget(self.prompt)
        column.addLayout(self._columns, 1)
        split = QSplitter(Qt.Orientation.Vertical, objectName="mixer.split.score")
        split.setChildrenCollapsible(False)
        split.addWidget(top)
        split.addWidget(self.speakers)
        split.setSizes([330, 370])
        split.setStretchFactor(0, 1)
        split.setStretchFactor(1, 1)
        split.setMinimumWidth(320)
        line = QFrame()
        line.setProperty("role", "upright")
        aside = QHBoxLayout(self._aside)
        aside.setContentsMargins(0, 0, 0, 0)
        aside.setSpacing(0)
        aside.addWidget(line)
        aside.addWidget(self.why)
        self._aside.setFixedWidth(WHY)
        self._aside.hide()
        whole = QHBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(split, 1)
        whole.addWidget(self._aside)

    def _connect(self) -> None:
        mixer = self._mixer
        mixer.questions.changed.connect(self._show)
        mixer.desk_changed.connect(self._show_desk)
        mixer.answers.started.connect(self._started)
        mixer.answers.spoke.connect(self._spoke)
        mixer.answers.changed.connect(self._changed)
        mixer.answers.heard.connect(self._heard)
        self.speakers.token_selected.connect(self._map_chose)
        self.speakers.token_opened.connect(self._explain)
        self.why.closed.connect(self.close_why)

    # which answers stand here

    def _show(self) -> None:
        panes = self._mixer.questions.panes if self._mixer.desk.strips else []
        if list(self.answers) != panes:
            kept = self.answers
            for column in kept.values():
                self._columns.removeWidget(column)
            self.answers = {pane: kept.pop(pane, None) or self._column(pane) for pane in panes}
            for column in kept.values():
                column.hide()
                column.deleteLater()
            for column in self.answers.values():
                self._columns.addWidget(column, 1)
        self._show_desk()

    def _column(self, pane: str) -> AnswerColumn:
        answer = self._mixer.answers.answer(pane)
        column = AnswerColumn(_expert(pane) or pane)
        expert = _expert(pane)
        column.rank_moved.connect(lambda rank: self._mixer.set_rank(expert, rank))
        column.released.connect(self._mixer.release)
        if pane == MIX:
            column.text.token_selected.connect(self._text_chose)
            column.text.opened.connect(self._text_opened)
        for spoken in answer.tokens:
            column.text.append_token(spoken.text, *self._ink(pane, spoken))
        column.show_state(answer)
        return column

    def _show_desk(self) -> None:
        mixer = self._mixer
        for pane, column in self.answers.items():
            strip = mixer.desk.strip(_expert(pane))
            column.set_hue(strip.hue if strip is not None else None)
            if strip is not None:
                column.set_rank(strip.rank, mixer.ranks(strip.adapter))
        if MIX in self.answers:
            self.answers[MIX].set_title(*mixer.playing.title)
            self.answers[MIX].show_state(mixer.answers.answer(MIX))
            self.answers[MIX].text.set_silent({mixer.hue(name) for name in mixer.playing.silent})

    # what they say

    def _started(self, pane: str) -> None:
        if pane in self.answers:
            self.answers[pane].text.restart()
            self.answers[pane].show_state(self._mixer.answers.answer(pane))

    def _spoke(self, pane: str, spoken: Spoken) -> None:
        if pane in self.answers:
            self.answers[pane].text.append_token(spoken.text, *self._ink(pane, spoken))

    def _changed(self, pane: str) -> None:
        if pane in self.answers:
            self.answers[pane].show_state(self._mixer.answers.answer(pane))

    def _ink(self, pane: str, spoken: Spoken) -> tuple[int, float]:
        """The hue and certainty of a token: its leader's in the mix, nobody's elsewhere."""
        routing = self._mixer.routing
        if pane != MIX or routing is None or spoken.leader < 0:
            return PLAIN, 0.0
        sure = certainty(np.float32([spoken.certainty]), len(routing.experts))
        return self._mixer.hue(routing.experts[spoken.leader]), float(sure[0])

    # one token, seen in both places

    def _map_chose(self, token: int) -> None:
        self.answers[MIX].text.mark(token - self._mixer.answers.answer(MIX).prompt_tokens)
        self._explain_on(token)

    def _text_chose(self, token: int) -> None:
        place = token + self._mixer.answers.answer(MIX).prompt_tokens
        self.speakers.map.set_token(place)
        self._explain_on(place)

    # why, at one token

    def _text_opened(self, token: int) -> None:
        self._explain(token + self._mixer.answers.answer(MIX).prompt_tokens)

    def _explain(self, token: int) -> None:
        """Open the pane beside the score, or say in it why it was this token."""
        routing = self._mixer.routing
        if routing is None:
            return
        self.why.show_token(routing, token)
        if not self._aside.isVisible():
            self._aside.show()
            self.explaining.emit(WHY)

    def _explain_on(self, token: int) -> None:
        if self._aside.isVisible():
            self._explain(token)

    def close_why(self) -> None:
        """Put the pane that says why away."""
        if self._aside.isVisible():
            self._aside.hide()
            self.explaining.emit(0)
            self.speakers.map.setFocus(Qt.FocusReason.OtherFocusReason)

    def _heard(self, pane: str) -> None:
        """Another question has other tokens: what was explained is no longer there."""
        routing = self._mixer.routing
        if pane == MIX and routing is not None and not self.why.is_of(routing):
            self.close_why()


def _expert(pane: str) -> str:
    """Whose own answer a pane shows; "" for the base's and the mix's."""
    return pane.partition(":")[2]

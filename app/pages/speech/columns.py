"""Ears, eyes, both: what was said, word beside word in time, and what a person says was said."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from app.pages.speech.column_head import ColumnHead
from app.pages.speech.offer import WhisperOffer
from app.pages.speech.queue import QueueLine
from app.presenters.spoken import Said
from app.presenters.transcript_columns import MODES, SENSES, Column, rows
from app.presenters.transcripts import Transcripts
from engine.messages import SpeechMode
from widgets.transcript_view import GAP, GUTTER, TranscriptView
from widgets.transcript_words import Word, WordRow

__all__ = ["SpeechColumns"]

IDLE: dict[SpeechMode, str] = {
    "audio": "What is heard, by sound alone.",
    "video": "What the lips say, without any sound.",
    "both": "What is understood of both together.",
}


class SpeechColumns(QWidget):
    """``sought(seconds)``: a word was clicked."""

    sought = Signal(float)

    def __init__(self, transcripts: Transcripts, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._transcripts = transcripts
        self.setObjectName("speech.columns")
        self.ask = QPushButton("Transcribe", objectName="speech.transcribe")
        self.ask.setAccessibleName("Transcribe by ear, by eye and by both")
        self.ask.setProperty("role", "primary")
        self.all = QPushButton("All clips", objectName="speech.transcribe.all")
        self.all.setAccessibleName("Transcribe every clip of the shelf")
        self.all.setToolTip("Transcribe every clip of the shelf, one after the other")
        self.cancel = QPushButton("Cancel", objectName="speech.cancel")
        self.cancel.setAccessibleName("Cancel transcribing")
        self.reference = QLineEdit(objectName="speech.reference", accessibleName="What is said in the clip")
        self.reference.setPlaceholderText("What is said, if you know it: for an error rate")
        self.reference.setClearButtonEnabled(True)
        self.heads = {mode: ColumnHead(mode) for mode in MODES}
        self.view = TranscriptView("speech.words", "Words by ear, by eye and by both", list(SENSES.values()))
        self.offer = WhisperOffer(transcripts.models)
        self.queue = QueueLine(transcripts.queue)
        self._above = QHBoxLayout()
        self._heard: list[object] = []
        self._compose()
        self._connect()
        self._show()

    def _compose(self) -> None:
        said = QLabel("Said")
        said.setProperty("role", "dim")
        said.setBuddy(self.reference)
        line = QHBoxLayout()
        line.setSpacing(8)
        line.addWidget(self.ask)
        line.addWidget(self.cancel)
        line.addWidget(self.all)
        line.addSpacing(8)
        line.addWidget(said)
        line.addWidget(self.reference, 1)
        self._above.setSpacing(round(GAP))
        for head in self.heads.values():
            self._above.addWidget(head, 1)
        self._make_room(0)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.offer)
        column.addLayout(line)
        column.addLayout(self._above)
        column.addWidget(self.view, 1)
        column.addWidget(self.queue)

    def _connect(self) -> None:
        transcripts = self._transcripts
        self.ask.clicked.connect(lambda: transcripts.transcribe())
        self.all.clicked.connect(lambda: transcripts.enqueue(transcripts.shelf))
        self.cancel.clicked.connect(self._cancel)
        transcripts.queue.changed.connect(self._show)
        self.reference.editingFinished.connect(self._say_what_is_said)
        self.view.sought.connect(self.sought)
        self.view.resized.connect(self._make_room)
        for head in self.heads.values():
            head.asked.connect(lambda mode: transcripts.transcribe(mode))
        transcripts.changed.connect(self._show)

    def show_position(self, seconds: float) -> None:
        """Mark the words that are being said at ``seconds`` of the clip; negative: none."""
        self.view.set_position(seconds)

    def _make_room(self, right: int) -> None:
        """Heads stand over their columns, also where a scroll bar takes room."""
        self._above.setContentsMargins(GUTTER, 0, right, 0)

    def _cancel(self) -> None:
        self._transcripts.cancel()
        self.ask.setFocus(Qt.FocusReason.OtherFocusReason)

    def _say_what_is_said(self) -> None:
        if self.reference.text().strip() != self._transcripts.state.reference:
            self._transcripts.set_reference(self.reference.text())

    def _show(self) -> None:
        state, why_not = self._transcripts.state, self._transcripts.why_not
        is_open = state.is_asking
        self.ask.setEnabled(not why_not and not is_open)
        self.ask.setToolTip(why_not)
        if not is_open and self.cancel.hasFocus():
            self.ask.setFocus(Qt.FocusReason.OtherFocusReason)
        self.cancel.setVisible(is_open)
        can_queue = len(self._transcripts.shelf) > 1 and not self._transcripts.queue.state.is_open
        self.all.setEnabled(can_queue and not why_not)
        self.reference.setEnabled(bool(state.clip))
        is_written = self.reference.hasFocus() and self.reference.isModified()
        if self.reference.text() != state.reference and not is_written:
            self.reference.setText(state.reference)
            self.reference.setCursorPosition(0)
        for column in state.columns:
            self.heads[column.mode].show_column(column, why_not)
        self._show_words(state.columns)
        self.view.set_stale([column.stale for column in state.columns])
        self.view.set_sentences([_instead(column) for column in state.columns])

    def _show_words(self, columns: tuple[Column, ...]) -> None:
        """Align them only when there are others: an hour has nine thousand."""
        heard = [(column.words, column.transcript, column.state) for column in columns]
        if heard != self._heard:
            self._heard = heard
            self.view.set_rows(
                [WordRow(row.start, row.end, tuple(map(_word, row.cells))) for row in rows(columns)]
            )


def _instead(column: Column) -> str:
    """What stands in the place of words."""
    if column.words or column.is_open:
        return ""
    return f"{column.sentence} {column.hint}".strip() or IDLE[column.mode]


def _word(said: Said | None) -> Word | None:
    if said is None:
        return None
    return Word(said.text, said.start, said.end, said.confidence, said.verdict, said.meant)

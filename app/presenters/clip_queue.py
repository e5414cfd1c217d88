"""Several clips transcribed one after the other, beside whatever a person is looking at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from PySide6.QtCore import QObject, Signal

from app.presenters.speech_questions import SpeechQuestions
from app.words import count
from engine.messages import Error, Heard, Transcribe, Transcript

__all__ = ["ClipQueue", "QueueState"]


@dataclass(frozen=True)
class QueueState:
    """``done`` of ``total`` clips; ``title`` is heard now, up to ``until`` of ``seconds``; ``failures`` are
    (title, sentence)."""

    total: int = 0
    done: int = 0
    title: str = ""
    until: float = 0.0
    seconds: float = 0.0
    failures: tuple[tuple[str, str], ...] = ()

    @property
    def is_open(self) -> bool:
        return self.done < self.total


class ClipQueue(QObject):
    """``changed``: another ``state``; ``ended``: the last clip is done. Answers are kept by ``questions``, so
    that a clip of the queue has its words when it is chosen."""

    changed = Signal()
    ended = Signal()

    def __init__(
        self, questions: SpeechQuestions, title: Callable[[str], str], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._questions = questions
        self._title = title
        self._waiting: list[Transcribe] = []
        self.state = QueueState()
        questions.heard.connect(self._heard)
        questions.answered.connect(self._answered)
        questions.failed.connect(self._failed)

    def add(self, questions: Sequence[Transcribe]) -> None:
        """Ask these too; a queue that had ended begins anew."""
        fresh = [question for question in questions if question not in self._waiting]
        self._waiting += fresh
        before = self.state if self.state.is_open else QueueState()
        self.state = replace(before, total=before.total + len(fresh))
        if fresh:
            self._go_on()

    def cancel(self) -> None:
        """Give up what has not been heard yet."""
        self._waiting.clear()
        self._questions.want("queue", [])
        self.state = QueueState()
        self.changed.emit()

    @property
    def sentence(self) -> str:
        """Where the queue is, in words; "" where there was none."""
        state = self.state
        if state.is_open:
            return f"Clip {state.done + 1} of {state.total}: {state.title}"
        if not state.total:
            return ""
        bad = "".join(f" {title}: {why}" for title, why in state.failures)
        return f"{count(state.total - len(state.failures), 'clip')} transcribed; choose one to read it.{bad}"

    def _go_on(self) -> None:
        while self._waiting and self._questions.kept(self._waiting[0]) is not None:
            self._waiting.pop(0)
            self.state = replace(self.state, done=self.state.done + 1)
        title = self._title(self._waiting[0].clip) if self._waiting else ""
        self.state = replace(self.state, title=title, until=0.0, seconds=0.0)
        self._questions.want("queue", self._waiting[:1])
        self.changed.emit()
        if not self._waiting:
            self.ended.emit()

    def _is_ours(self, question: Transcribe) -> bool:
        return bool(self._waiting) and question == self._waiting[0]

    def _heard(self, question: Transcribe, heard: Heard) -> None:
        if self._is_ours(question):
            self.state = replace(self.state, until=heard.until, seconds=heard.seconds)
            self.changed.emit()

    def _answered(self, question: Transcribe, _said: Transcript) -> None:
        if self._is_ours(question):
            self._go_on()

    def _failed(self, question: Transcribe, error: Error) -> None:
        if self._is_ours(question):
            self._waiting.pop(0)
            why = f"{error.message} {error.hint}".strip()
            failures = (*self.state.failures, (self._title(question.clip), why))
            self.state = replace(self.state, done=self.state.done + 1, failures=failures)
            self._go_on()

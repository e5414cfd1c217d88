"""Questions to a model of speech, one at a time for each who asks; what was answered once is kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from PySide6.QtCore import QObject, Signal

from app.client import Client
from engine.messages import Error, Heard, Transcribe, Transcript

__all__ = ["SpeechQuestions"]

Asker = Literal["columns", "curve", "queue"]
Stamp = tuple[int, int]

KEPT = 1024


class SpeechQuestions(QObject):
    """``heard(question, Heard)``, then ``answered(question, Transcript)`` or ``failed(question, Error)``.

    A transcription is decided by its question and the clip's file, so each is asked once. The foremost asker
    does not wait for what another has under way: the engine serves both in turns.
    """

    heard = Signal(object, object)
    answered = Signal(object, object)
    failed = Signal(object, object)

    def __init__(self, client: Client, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._client = client
        self._wanted: dict[Asker, list[Transcribe]] = {"columns": [], "curve": [], "queue": []}
        self._asked: dict[Transcribe, str] = {}
        self._again: set[Transcribe] = set()
        self._kept: OrderedDict[tuple[Transcribe, Stamp], Transcript] = OrderedDict()

    def want(self, asker: Asker, questions: Sequence[Transcribe]) -> None:
        """Ask exactly these for ``asker``, in order; what nobody wants any more is given up."""
        self._wanted[asker] = [question for question in questions if self.kept(question) is None]
        for question in [each for each in self._asked if not self._is_wanted(each)]:
            self._client.cancel(self._asked.pop(question))
        self._go_on()

    def wanted(self, asker: Asker) -> tuple[Transcribe, ...]:
        """What ``asker`` still waits for."""
        return tuple(self._wanted[asker])

    def kept(self, question: Transcribe) -> Transcript | None:
        """What was answered to the very same question about the very same file."""
        return self._kept.get((question, _stamp(question.clip)))

    def answers(self, clip: str) -> list[tuple[Transcribe, Transcript]]:
        """All that is kept of the file ``clip`` as it is now."""
        now = _stamp(clip)
        return [
            (key[0], answer) for key, answer in self._kept.items() if key[0].clip == clip and key[1] == now
        ]

    def forget(self, model: str) -> None:
        """Another model has this name now, so its answers are nobody's."""
        for key in [key for key in self._kept if key[0].model == model]:
            del self._kept[key]

    def _is_wanted(self, question: Transcribe) -> bool:
        return any(question in wanted for wanted in self._wanted.values())

    def _go_on(self) -> None:
        for wanted in self._wanted.values():
            if wanted and not any(question in self._asked for question in wanted):
                self._ask(wanted[0])

    def _ask(self, question: Transcribe) -> None:
        stamp = _stamp(question.clip)

        def is_asked() -> bool:
            return self._asked.get(question) == call

        def done(answer: Transcript) -> None:
            self._kept[question, stamp] = answer
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            if is_asked():
                self._end(question)
                self.answered.emit(question, answer)
                self._go_on()

        def failed(error: Error) -> None:
            if not is_asked():
                return
            if error.code == "crashed" and question not in self._again:
                # What an engine died over is asked once more of the next one.
                self._again.add(question)
                del self._asked[question]
            else:
                self._end(question)
                self.failed.emit(question, error)
            self._go_on()

        def progress(body: object) -> None:
            if isinstance(body, Heard) and is_asked():
                self.heard.emit(question, body)

        call = self._client.ask(question, done, failed, progress)
        self._asked[question] = call

    def _end(self, question: Transcribe) -> None:
        self._asked.pop(question, None)
        self._again.discard(question)
        for wanted in self._wanted.values():
            if question in wanted:
                wanted.remove(question)


def _stamp(path: str) -> Stamp:
    """A file as it is now; a recording over an older one is another clip."""
    try:
        found = Path(path).stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)

"""Word error rate against noise: a point for each transcription that was checked, a line for each sense."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace
from PySide6.QtCore import QObject, Signal

from app.presenters.speech_questions import SpeechQuestions
from engine.messages import Error, SpeechMode, Transcribe, Transcript

__all__ = ["SNRS", "NoiseCurve", "NoisePoint"]

SNRS = (20.0, 15.0, 10.0, 5.0, 0.0, -5.0, -10.0)


@dataclass(frozen=True)
class NoisePoint:
    """``snr`` in dB, None without noise; ``wer`` the share of words that are wrong, over 1 for many added."""

    snr: float | None
    wer: float


class NoiseCurve(QObject):
    """The points are among the answers that ``questions`` keeps; ``measure`` asks for those that are missing.

    ``changed``: more points, or ``done`` of ``total`` moved; ``failed(Error)``: the rest was given up.
    """

    changed = Signal()
    failed = Signal(object)

    def __init__(self, questions: SpeechQuestions, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._questions = questions
        self._open: set[Transcribe] = set()
        self.total = 0
        questions.answered.connect(self._answered)
        questions.failed.connect(self._failed)

    @property
    def done(self) -> int:
        return self.total - len(self._open)

    @property
    def is_open(self) -> bool:
        return self.done < self.total

    def measure(self, questions: Sequence[Transcribe]) -> None:
        """Ask each of these without noise and at every noise of SNRS, from quiet to loud; lips once, since
        they hear none."""
        heard = [each for each in questions if each.mode != "video"]
        noisy = [replace(each, snr=snr) for snr in SNRS for each in heard]
        self._questions.want("curve", [*(replace(each, snr=None) for each in questions), *noisy])
        self._open = set(self._questions.wanted("curve"))
        self.total = len(self._open)
        self.changed.emit()

    def stop(self) -> None:
        """Give up the rest; the points that there are stay."""
        self.total = 0
        self._open.clear()
        self._questions.want("curve", [])
        self.changed.emit()

    def points(self, questions: Sequence[Transcribe]) -> dict[SpeechMode, tuple[NoisePoint, ...]]:
        """For the sense of each question all that was answered to it at any noise, from quiet to loud. Of a
        sense that the clip did not allow there are none."""
        found: dict[SpeechMode, tuple[NoisePoint, ...]] = {}
        for like in questions:
            points = [
                NoisePoint(asked.snr, said.wer)
                for asked, said in self._questions.answers(like.clip)
                if replace(asked, snr=like.snr) == like and said.wer is not None and said.read_as == like.mode
            ]
            found[like.mode] = tuple(sorted(points, key=_noise))
        return found

    def _answered(self, question: Transcribe, _said: Transcript) -> None:
        self._open.discard(question)
        self.changed.emit()

    def _failed(self, question: Transcribe, error: Error) -> None:
        if question in self._open:
            self.stop()
            self.failed.emit(error)


def _noise(point: NoisePoint) -> float:
    return float("-inf") if point.snr is None else -point.snr

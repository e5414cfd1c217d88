"""What ears, eyes and both have understood of a clip: words, or a sentence in their place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.presenters.clip_sidecar import KeptTranscript
from app.presenters.spoken import Row, aligned, judged
from app.words import percent
from engine.messages import Error, SpeechCard, SpeechMode, SpokenWord, Transcript

__all__ = [
    "MODES",
    "SENSES",
    "Column",
    "aloud",
    "failed",
    "lacking",
    "missing",
    "remembered",
    "rows",
    "understood",
]

MODES: tuple[SpeechMode, ...] = ("audio", "video", "both")
SENSES: dict[SpeechMode, str] = {"audio": "Ears", "video": "Eyes", "both": "Both"}
LACKS: dict[SpeechMode, str] = {
    "audio": "{name} has no ears: it reads lips alone.",
    "video": "{name} has no eyes: it transcribes by ear alone.",
    "both": "{name} has one sense: there is nothing to join.",
}


@dataclass(frozen=True)
class Column:
    """One sense. ``words`` as far as they have come, up to ``until`` of ``seconds``; ``sentence`` and
    ``hint`` are what there is to say beside words, or for them. ``stale``: they answer an older question."""

    mode: SpeechMode
    state: Literal["idle", "waiting", "hearing", "done", "lacking", "failed"] = "idle"
    words: tuple[SpokenWord, ...] = ()
    until: float = 0.0
    seconds: float = 0.0
    transcript: Transcript | None = None
    sentence: str = ""
    hint: str = ""
    stale: bool = False

    @property
    def is_open(self) -> bool:
        return self.state in ("waiting", "hearing")


def lacking(mode: SpeechMode, card: SpeechCard) -> Column:
    """The column of a sense that a model does not have."""
    return Column(mode, "lacking", sentence=LACKS[mode].format(name=card.name))


def missing(mode: SpeechMode, *, sound: bool) -> Column:
    """The column of a sense for which there is nothing in a clip that has ``sound`` alone, or none."""
    lacks = "pictures" if sound else "sound"
    return Column(mode, "lacking", sentence=f"This clip has no {lacks}.")


def failed(mode: SpeechMode, error: Error) -> Column:
    return Column(mode, "failed", sentence=error.message, hint=error.hint)


def understood(mode: SpeechMode, said: Transcript) -> Column:
    """A column heard to its end."""
    sentence = " ".join(said.notes) or _sentence(mode, said)
    return Column(mode, "done", tuple(said.words), said.seconds, said.seconds, said, sentence)


def remembered(record: KeptTranscript) -> Column:
    """A column of words that were understood on another day, by a model that may be another now."""
    seconds = record.words[-1].end if record.words else 0.0
    sentence = f"By {record.model}, {record.when[:16].replace('T', ' ')}."
    return Column(record.asked, "done", tuple(record.words), seconds, seconds, None, sentence, stale=True)


def _sentence(mode: SpeechMode, said: Transcript) -> str:
    """What a person should know before they read the words, where the engine has no words for it."""
    if mode == "video" and not said.face_found:
        return "No face was found, so there are no lips to read. Draw a box around the mouth."
    if not said.speech:
        return "Nobody spoke."
    if mode != said.read_as:
        lost = "No face was found" if said.read_as == "audio" else "There is no sound"
        return f"{lost}: read by {'ear' if said.read_as == 'audio' else 'eye'} alone."
    if not said.whole:
        return "The text was cut: it grew longer than speech can be."
    return "" if said.words else "No words were understood."


def aloud(column: Column) -> str:
    """A column that has come in, for those who listen."""
    said = column.transcript
    wrong = f", {percent(said.wer)} of the words wrong" if said is not None and said.wer is not None else ""
    words = said.text if said is not None and said.text else "no words"
    return " ".join(part for part in (f"{SENSES[column.mode]}{wrong}: {words}.", column.sentence) if part)


def rows(columns: Sequence[Column]) -> list[Row]:
    """All columns' words, aligned in time and checked against what was said."""
    checked = [judged(each.words, each.transcript.steps if each.transcript else []) for each in columns]
    return aligned(checked, [column.state == "done" and bool(column.words) for column in columns])

"""A speech page's engine as a script: models, one clip, what is heard of it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSettings

from app.presenters.clips import Clips
from app.presenters.speech_models import SpeechLibrary
from app.presenters.transcripts import Transcripts
from engine.messages import (
    ClipCard,
    ErrorStep,
    ExampleClip,
    Jobs,
    ListJobs,
    ListSpeech,
    LookAtClip,
    SpeechCard,
    SpeechModels,
    SpokenWord,
    Transcribe,
    Transcript,
)
from tests.app.scripted_client import ScriptedClient

TEXT = "place blue at f two now"
DEMO = SpeechCard(
    name="demo",
    kind="demo",
    path="starter/model",
    modes=["audio", "video", "both"],
    audio_rates=[2, 4],
    video_rates=[2, 5],
    tokens_per_second=(50.0, 25.0),
    parameters=1_100_000,
    bytes=4_200_000,
    license="Apache-2.0",
    note="Synthetic voices and faces, 51 words. For real voices use Whisper.",
)
WHISPER = SpeechCard(
    name="whisper-base.en",
    kind="whisper",
    path="cache/whisper",
    modes=["audio"],
    parameters=72_600_000,
    bytes=290_000_000,
    license="Apache-2.0",
)


def clip(tmp_path: Path, name: str = "one") -> str:
    """The path of a file that is there."""
    path = tmp_path / f"{name}.mkv"
    path.write_bytes(name.encode())
    return str(path)


def models(*cards: SpeechCard, clips: str = "", examples: tuple[str, ...] = ()) -> SpeechModels:
    shelf = [ExampleClip(path=path, title=Path(path).stem, text=TEXT) for path in examples]
    return SpeechModels(models=list(cards or (DEMO,)), examples=shelf, clips=clips)


def words(text: str, every: float = 0.4, confidence: float = 0.9) -> list[SpokenWord]:
    """Words of equal length, one after the other."""
    return [
        SpokenWord(text=word, start=round(every * i, 3), end=round(every * (i + 1), 3), confidence=confidence)
        for i, word in enumerate(text.split())
    ]


def transcript(asked: Transcribe, text: str = TEXT, **changes: object) -> Transcript:
    """What an engine would say to ``asked``, its steps word for word (texts of equal length)."""
    steps, wer = [], None
    if asked.reference:
        pairs = list(zip(text.split(), asked.reference.split(), strict=False))
        steps = [
            ErrorStep(op="equal" if said == meant else "substitute", said=said, meant=meant)
            for said, meant in pairs
        ]
        wer = sum(step.op != "equal" for step in steps) / max(1, len(asked.reference.split()))
    fields: dict[str, object] = {
        "text": text, "words": words(text), "mode": asked.mode, "read_as": asked.mode, "model": asked.model,
        "speech": True, "face_found": True, "wer": wer, "steps": steps, "snr": asked.snr,
        "audio_rate": asked.audio_rate or 0, "video_rate": asked.video_rate or 0, "seconds": 2.4,
        "took": 0.6, "tokens": 90,
    }  # fmt: skip
    return Transcript(**(fields | changes))


def card(path: str, sound: bool = True) -> ClipCard:
    return ClipCard(path=path, seconds=2.4, sound=sound, pictures=True, face_found=True)


class Booth:
    """A page's presenters on a scripted client, with two example clips on the shelf and the first chosen."""

    def __init__(self, tmp_path: Path, *cards: SpeechCard) -> None:
        self.client = ScriptedClient()
        self.paths = (clip(tmp_path, "one"), clip(tmp_path, "two"))
        settings = QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat)
        self.clips = Clips(self.client, settings)
        self.models = SpeechLibrary(self.client, settings)
        self.transcripts = Transcripts(self.client, self.clips, self.models)
        self.tell(*cards)
        self.client.answer_all(ListJobs, Jobs(jobs=[]))
        self.clips.choose(self.paths[0])
        self.look()

    def tell(self, *cards: SpeechCard) -> None:
        """Say which models there are to whoever asked."""
        self.client.answer_all(ListSpeech, models(*cards, examples=self.paths))

    def look(self, sound: bool = True) -> None:
        for call in self.client.asked(LookAtClip):
            self.client.answer(call, card(call.body.clip, sound))

    @property
    def asked(self) -> list[Transcribe]:
        """What is being asked now, oldest first, without what was given up."""
        calls = self.client.asked(Transcribe)
        return [call.body for call in calls if call.id not in self.client.cancelled]

    def answer(self, text: str = TEXT, **changes: object) -> Transcribe:
        """Answer the oldest question that is not given up."""
        call = next(call for call in self.client.asked(Transcribe) if call.id not in self.client.cancelled)
        self.client.answer(call, transcript(call.body, text, **changes))
        return call.body

    def answer_all(self, text: str = TEXT, **changes: object) -> list[Transcribe]:
        answered = []
        while self.asked:
            answered.append(self.answer(text, **changes))
        return answered

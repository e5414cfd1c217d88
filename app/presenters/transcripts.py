"""What is understood of the chosen clip: by ear, by eye and by both, at chosen rates and noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from PySide6.QtCore import QObject, QTimer, Signal

from app.client import Client
from app.presenters import clip_sidecar
from app.presenters.clip_queue import ClipQueue
from app.presenters.clips import Clips
from app.presenters.noise_curve import NoiseCurve, NoisePoint
from app.presenters.notice import Notice, from_error
from app.presenters.passing import delete
from app.presenters.presenter import Presenter
from app.presenters.speech_models import SpeechLibrary
from app.presenters.speech_questions import SpeechQuestions
from app.presenters.transcript_columns import (
    MODES,
    Column,
    aloud,
    failed,
    lacking,
    missing,
    remembered,
    understood,
)
from engine.messages import (
    AddNoise,
    Error,
    Heard,
    MouthPlace,
    NoisySound,
    SpeechCard,
    SpeechMode,
    Transcribe,
    Transcript,
)

__all__ = ["Transcripts", "TranscriptsState"]

# A fader is asked about once the hand rests.
REST_MS = 350
EMPTY = tuple(Column(mode) for mode in MODES)


@dataclass(frozen=True)
class TranscriptsState:
    """``place`` is where a person says that the mouth is, ``reference`` what they say was said; ``snr`` in
    dB, None without noise; rates are 0 where the model has none to choose."""

    columns: tuple[Column, ...] = EMPTY
    clip: str = ""
    place: MouthPlace | None = None
    reference: str = ""
    snr: float | None = None
    audio_rate: int = 0
    video_rate: int = 0

    def column(self, mode: SpeechMode) -> Column:
        return self.columns[MODES.index(mode)]

    @property
    def is_asking(self) -> bool:
        return any(column.is_open for column in self.columns)


class Transcripts(Presenter[TranscriptsState]):
    """``changed``: another state. ``sounded``: the noise under the clip when it is played is another; ask
    ``sound`` again. ``noticed(Notice)``; ``announced(sentence)``: for those who listen.

    Senses that were asked once are asked again when noise, rates, model, reference or mouth change; an older
    answer is shown, as such, until the new one comes, and never taken for it. ``queue`` goes on beside that.
    """

    sounded = Signal()
    noticed = Signal(object)
    announced = Signal(str)

    def __init__(
        self, client: Client, clips: Clips, models: SpeechLibrary, parent: QObject | None = None
    ) -> None:
        super().__init__(TranscriptsState(), parent)
        self._client = client
        self._clips = clips
        self.models = models
        self._asked: set[SpeechMode] = set()
        self._shown: dict[SpeechMode, Transcribe] = {}
        self._cards: dict[str, SpeechCard] = {}
        self._noisy = ""
        self._present: tuple[SpeechMode, ...] = MODES
        self._listener: SpeechCard | None = None
        self._questions = SpeechQuestions(client, self)
        self.queue = ClipQueue(self._questions, self._title, self)
        self.curve = NoiseCurve(self._questions, self)
        self._rest = QTimer(self, interval=REST_MS, singleShot=True)
        self._rest.timeout.connect(self._rested)
        self._questions.heard.connect(self._heard)
        self._questions.answered.connect(self._answered)
        self._questions.failed.connect(self._failed)
        self.curve.failed.connect(self._complain)
        self.queue.ended.connect(lambda: self.announced.emit(self.queue.sentence))
        clips.changed.connect(self._follow_clip)
        models.changed.connect(self._follow_models)
        self._follow_models()
        self._follow_clip()

    # --- verbs ---

    @property
    def card(self) -> SpeechCard | None:
        """The model that listens."""
        return self.models.card

    @property
    def why_not(self) -> str:
        """What stands in the way of transcribing; empty when nothing does."""
        if not self.state.clip:
            return "Choose or record a clip first."
        return "No model is there yet." if self.card is None else self.card.problem

    @property
    def why_not_measure(self) -> str:
        """What stands in the way of a curve of errors; empty when nothing does."""
        return self.why_not or (
            "" if self.state.reference else "Type what is said: errors are counted against it."
        )

    def transcribe(self, *modes: SpeechMode) -> None:
        """Ask what is said in the clip, by these senses (none: by all that model and clip have)."""
        if self.why_not:
            self.noticed.emit(Notice("warn", self.why_not))
            return
        asked = set(modes or self._senses)
        self._asked |= asked
        for mode in asked:
            self._shown.pop(mode, None)
        self._ask()

    def cancel(self) -> None:
        """Give up what is under way; what was understood stays."""
        self._asked.clear()
        self._questions.want("columns", [])
        for column in self.state.columns:
            if column.is_open:
                self._put(_left(column))
        self.curve.stop()

    def set_noise(self, snr: float | None) -> None:
        """Put babble under the sound, ``snr`` dB below the speech; it is asked anew once the hand rests."""
        if snr != self.state.snr:
            self._set(snr=snr)
            self._let_rest()

    def set_rates(self, audio: int, video: int) -> None:
        """Read more coarsely or finely; only rates that were trained are taken."""
        card, state = self.card, self.state
        if card is None or audio not in (card.audio_rates or [0]) or video not in (card.video_rates or [0]):
            return
        if (audio, video) != (state.audio_rate, state.video_rate):
            self.curve.stop()
            self._set(audio_rate=audio, video_rate=video)
            self._let_rest()

    def set_reference(self, text: str) -> None:
        """What is said in the clip, as a person knows it: an error rate needs it."""
        self._clips.set_reference(self.state.clip, text)

    @property
    def shelf(self) -> tuple[str, ...]:
        """Every clip of the shelf that can be read."""
        return tuple(clip.path for clip in self._clips.state.clips if not clip.problem)

    def enqueue(self, paths: Sequence[str]) -> None:
        """Transcribe several clips, one after the other, by as many senses as the model has."""
        card = self.card
        if card is None or card.problem:
            self.noticed.emit(Notice("warn", card.problem if card is not None else "No model is there yet."))
            return
        mode: SpeechMode = "both" if "both" in card.modes else card.modes[0]
        self.queue.add([self._question(mode, path) for path in paths])

    def measure(self) -> None:
        """Ask at every noise, by every sense of the model, for the curve of errors."""
        if self.card is not None and not self.why_not_measure:
            self.curve.measure([self._question(mode) for mode in self._senses if mode in self.card.modes])

    def sound(self, done: Callable[[str], None]) -> None:
        """Hand ``done`` the WAV of the chosen clip with the noise under it; "" where there is none. The one
        before it is deleted."""
        clip, snr = self.state.clip, self.state.snr
        if not clip or snr is None or not self.has_sound:
            done("")
            return

        def made(body: NoisySound) -> None:
            delete(self._noisy)
            self._noisy = body.path
            if (clip, snr) == (self.state.clip, self.state.snr):
                done(body.path)

        def refused(error: Error) -> None:
            self._complain(error)
            done("")

        self._client.ask(AddNoise(clip=clip, snr=snr), made, refused)

    # --- what there is to see ---

    @property
    def points(self) -> dict[SpeechMode, tuple[NoisePoint, ...]]:
        """Errors by noise, as far as they are known of this clip, model and rates."""
        if not self.state.clip or not self.state.reference:
            return {mode: () for mode in MODES}
        return self.curve.points([self._question(mode) for mode in MODES])

    @property
    def tokens_per_second(self) -> tuple[float, float]:
        """What the language model reads of a second of sound and of lips, at these rates."""
        sound, lips = self.card.tokens_per_second if self.card is not None else (0.0, 0.0)
        return sound / (self.state.audio_rate or 1), lips / (self.state.video_rate or 1)

    @property
    def has_sound(self) -> bool:
        """Whether there is anything that noise could be under; True until it is known."""
        card = self._clips.state.card
        return card is None or card.sound

    # --- asking ---

    @property
    def _senses(self) -> tuple[SpeechMode, ...]:
        """Those for which there is something in the clip, as far as it is known."""
        card = self._clips.state.card
        if card is None or card.sound == card.pictures:
            return MODES
        return ("audio",) if card.sound else ("video",)

    def _question(self, mode: SpeechMode, clip: str = "") -> Transcribe:
        """The question as it stands now, of the chosen clip or another; what a sense does not meet (noise
        under lips, the rate of the other) is no part of it."""
        state, card = self.state, self.card
        item = self._clips.state.find(clip) if clip else None
        return Transcribe(
            model=card.name if card is not None else "",
            clip=clip or state.clip,
            mode=mode,
            audio_rate=(state.audio_rate or None) if mode != "video" else None,
            video_rate=(state.video_rate or None) if mode != "audio" else None,
            snr=state.snr if mode != "video" else None,
            place=state.place if clip in ("", state.clip) else None,
            reference=item.text if item is not None else "" if clip else state.reference,
        )

    def _ask(self) -> None:
        """Show what is known of the question as it stands now, and ask for what is not but was wanted."""
        card, unknown = self.card, []
        self._present = self._senses
        if card is None or not self.state.clip:
            return
        for mode in MODES:
            question, column = self._question(mode), self.state.column(mode)
            known = self._questions.kept(question)
            if known is not None:
                self._show(question, known)
            elif mode not in card.modes:
                self._put(lacking(mode, card))
            elif mode not in self._senses:
                self._put(missing(mode, sound=self.has_sound))
            elif mode in self._asked and not card.problem:
                unknown.append(question)
                if not column.is_open or question not in self._questions.wanted("columns"):
                    self._put(replace(_left(column), state="waiting"))
            elif self._shown.get(mode) != question and (column.is_open or not column.stale):
                self._put(_left(column))
        self._questions.want("columns", unknown)

    def _let_rest(self) -> None:
        """What is shown answers another question than the one that is being chosen."""
        for column in self.state.columns:
            if column.words and self._shown.get(column.mode) != self._question(column.mode):
                self._put(replace(column, stale=True))
        self._rest.start()

    def _rested(self) -> None:
        self.sounded.emit()
        self._ask()

    def _follow_clip(self) -> None:
        clips = self._clips.state
        text = clips.item.text if clips.item is not None else ""
        if (clips.current, text, clips.place) == (self.state.clip, self.state.reference, self.state.place):
            if self._present != self._senses:  # what is in the clip has become known
                self._ask()
            return
        is_other = clips.current != self.state.clip
        self.curve.stop()
        if is_other:
            self._asked.clear()
            self._shown.clear()
            self._questions.want("columns", [])
            record = clip_sidecar.kept(clips.current) if clips.current else None
            self._set(columns=EMPTY)
            if record is not None:
                self._put(remembered(record))
        self._set(clip=clips.current, reference=text, place=clips.place)
        self._ask()
        if is_other:
            self.sounded.emit()

    def _follow_models(self) -> None:
        card, before = self.card, self._cards
        if card == self._listener and self.models.cards == before:
            return
        for name in [name for name, old in before.items() if self.models.cards.get(name) != old]:
            self._questions.forget(name)
        self._cards, self._listener = self.models.cards, card
        state = self.state
        audio_rates, video_rates = (card.audio_rates, card.video_rates) if card is not None else ([], [])
        audio = state.audio_rate if state.audio_rate in audio_rates else next(iter(audio_rates), 0)
        video = state.video_rate if state.video_rate in video_rates else next(iter(video_rates), 0)
        self.curve.stop()
        self._set(audio_rate=audio, video_rate=video)
        self._ask()
        self.changed.emit()

    # --- answers ---

    def _is_awaited(self, question: Transcribe) -> bool:
        return question.mode in self._asked and question == self._question(question.mode)

    def _heard(self, question: Transcribe, heard: Heard) -> None:
        if self._is_awaited(question):
            words = tuple(heard.words)
            self._put(Column(question.mode, "hearing", words, heard.until, heard.seconds))

    def _answered(self, question: Transcribe, said: Transcript) -> None:
        self._keep(question, said)
        if question == self._question(question.mode):
            self._show(question, said)
            if question.mode in self._asked:
                self.announced.emit(aloud(self.state.column(question.mode)))

    def _keep(self, question: Transcribe, said: Transcript) -> None:
        """Write it beside a recording, unless it was heard under noise that is not in the clip."""
        if question.snr is not None:
            return
        try:
            clip_sidecar.keep(question.clip, said)
        except OSError as error:
            words = f"The transcript of {self._title(question.clip)} could not be written beside it."
            hint = "It is still shown here: export it, or make its folder writable and transcribe again."
            self.noticed.emit(Notice("warn", words, hint, str(error)))

    def _failed(self, question: Transcribe, error: Error) -> None:
        if self._is_awaited(question):
            self._asked.discard(question.mode)
            self._shown[question.mode] = question
            self._put(failed(question.mode, error))
            self.announced.emit(error.message)

    def _show(self, question: Transcribe, said: Transcript) -> None:
        self._shown[question.mode] = question
        self._put(understood(question.mode, said))

    def _title(self, path: str) -> str:
        item = self._clips.state.find(path)
        return item.title if item is not None else path

    def _complain(self, error: Error) -> None:
        if error.code != "cancelled":
            self.noticed.emit(from_error(error))

    def _put(self, column: Column) -> None:
        columns = tuple(column if each.mode == column.mode else each for each in self.state.columns)
        self._set(columns=columns)


def _left(column: Column) -> Column:
    """What stays to be read while another answer is awaited, or after it was given up."""
    if not column.words:
        return Column(column.mode)
    return replace(column, state="done", sentence="", hint="", stale=True)

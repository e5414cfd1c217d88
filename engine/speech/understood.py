"""What has been understood of a file, part by part, and the sentences that go with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from engine.formats.subtitles import as_srt, as_vtt
from engine.messages import SpokenWord, Transcript
from engine.speech.clip import Clip, available_mode
from engine.speech.config import Mode, Rates
from engine.speech.errors import error_steps
from engine.speech.gate import LEAD, Stretch, is_dead, spoken_stretches
from engine.speech.listener import Listener
from engine.speech.media import Lost
from engine.speech.missing import Missing, stretches
from engine.speech.noise import Background
from engine.speech.shape import FPS, SAMPLE_RATE
from engine.speech.splitting import sentences
from engine.speech.windows import Window

__all__ = ["Understood"]

BRIDGED = 1.0
"""Seconds of lost sound in the midst of which a sentence may go on."""
LEGIBLE = 2 / 3
"""The least share of a sentence's sound that is there where words are asked for: scraps would be guesses."""


@dataclass
class Understood:
    """What has been understood so far, and what there is to say about it."""

    listener: Listener
    mode: Mode
    hears: bool
    sees: bool
    rates: Rates | None = None
    noise: Background | None = None
    beams: int = 1
    missing: Missing = field(default_factory=Missing)
    words: list[SpokenWord] = field(default_factory=list)
    blind: list[Window] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
    parts: int = 0
    gaps: int = 0
    tokens: int = 0
    looking: float = 0.0
    whole: bool = True
    speech: bool = False
    silent: int = 0
    heard: bool = False
    unheard: Lost = field(default_factory=list)
    scraps: Lost = field(default_factory=list)

    def hear(self, window: Window) -> None:
        """Add what is said in ``window``."""
        self.parts += 1
        self.gaps += window.gaps
        self.looking += window.looked
        self.notes |= dict.fromkeys(window.notes)
        if window.note:
            self.blind.append(window)
        clip = window.clip
        self.heard |= clip.sound is not None
        if clip.sound is not None and is_dead(clip.sound):
            clip = replace(clip, sound=None)
            self.silent += 1
        if clip.sound is None and clip.mouth is None:
            return
        mode = available_mode(clip, "both")
        spoken = spoken_stretches(clip, mode)
        spoken = _bridged(spoken, [(a - window.start, b - window.start) for a, b in list(self.missing.sound)])
        self.unheard += [(window.start + s.start, window.start + s.end) for s in spoken if s.unheard]
        parts = self._legible(sentences(spoken, window.end - window.start, self.listener.pause), window)
        pieces = [_cut(clip, one, self.noise, window.start) for one in parts]
        said = self.listener.transcribe(pieces, mode, self.rates, self.beams) if pieces else []
        for stretch, one in zip(parts, said, strict=True):
            self.speech |= one.speech
            self.whole &= one.whole
            self.tokens += one.read
            at = window.start + _first(stretch) / FPS
            self.words += [
                SpokenWord(
                    text=word.text,
                    start=round(at + word.start, 3),
                    end=round(at + word.end, 3),
                    confidence=word.confidence,
                )
                for word in one.words
            ]

    def _legible(self, parts: Sequence[Stretch], window: Window) -> list[Stretch]:
        """Those of ``parts`` of which enough is there; lips make up for any sound."""
        found = []
        for one in parts:
            start, end = window.start + one.start, window.start + one.end
            if window.clip.mouth is not None or self.missing.of_sound(start, end) <= 1 - LEGIBLE:
                found.append(one)
            else:
                self.speech = True
                self.scraps.append((start, end))
        return found

    def transcript(self, reference: str, *, snr: float | None, seconds: float, took: float) -> Transcript:
        """All of it."""
        text = " ".join(word.text for word in self.words)
        wer, steps = error_steps(reference, text) if reference.strip() else (None, [])
        seen = self.sees and len(self.blind) < self.parts
        finest = Rates(
            *(min(its, default=0) for its in (self.listener.audio_rates, self.listener.video_rates))
        )
        used = self.rates or finest
        return Transcript(
            text=text,
            words=self.words,
            mode=self.mode,
            read_as=("both" if self.heard else "video") if seen else "audio" if self.hears else "video",
            model=self.listener.name,
            speech=self.speech,
            face_found=seen,
            whole=self.whole,
            wer=wer,
            steps=steps,
            snr=snr,
            audio_rate=used.audio if self.hears else 0,
            video_rate=used.video if seen else 0,
            seconds=seconds,
            took=took,
            looking=self.looking,
            tokens=self.tokens,
            notes=list(self._notes()),
            srt=as_srt(self.words),
            vtt=as_vtt(self.words),
        )

    def _notes(self) -> Iterator[str]:
        yield from self.notes
        if self.mode == "both" and not self.sees:
            why = "There is no video" if "both" in self.listener.modes else f"{self.listener.name} cannot see"
            yield f"{why}, so this was understood by ear alone."
        if self.mode == "both" and not self.hears:
            yield "There is no sound, so this was understood from the lips alone."
        yield from self._blindness()
        if self.unheard:
            yield (
                f"No voice stands out from the noise {stretches(self.unheard)}: what is written there was "
                "read from the lips, with what little the noise may hide, and is less certain."
            )
        if self.scraps:
            yield f"Only scraps of what is said are left {stretches(self.scraps)}: nothing is written there."
        if self.parts and self.silent == self.parts:
            yield "The sound is digital silence: the microphone was muted, or it was another one."
        if not self.speech and len(self.blind) < self.parts + self.hears:
            yield "Nobody speaks here."
        elif self.speech and not self.words:
            yield "Somebody speaks, but no word was understood."
        if not self.whole:
            yield "The text grew longer than speech can be, so it was cut."
        if self.gaps:
            yield f"The camera stood still {_times(self.gaps)}."

    def _blindness(self) -> Iterator[str]:
        """What was not seen, and what was done instead."""
        if not self.blind:
            return
        instead = "understood by ear alone" if self.hears else "left out"
        if len(self.blind) == self.parts:
            where = "this was" if self.hears else "there was nothing to read, and this was"
            yield f"{self.blind[0].note} So {where} {instead}."
        else:
            where = stretches([(one.start, one.end) for one in self.blind])
            yield f"No mouth could be followed {where}; that was {instead}."


def _bridged(spoken: Sequence[Stretch], lost: Lost) -> list[Stretch]:
    """``spoken``, put together over holes where sound is lost: these are no pauses between two sentences."""
    joined: list[Stretch] = []
    for one in spoken:
        before = joined[-1] if joined else one
        hole = any(start < one.start + LEAD and end > before.end - LEAD for start, end in lost)
        if joined and hole and one.start - before.end < BRIDGED:
            joined[-1] = replace(before, end=one.end)
        else:
            joined.append(one)
    return joined


def _first(stretch: Stretch) -> int:
    """The picture with which ``stretch`` begins."""
    return int(stretch.start * FPS)


def _cut(clip: Clip, stretch: Stretch, noise: Background | None, offset: float) -> Clip:
    """``stretch`` of ``clip``, in whole pictures. The clip begins at ``offset`` seconds of its file."""
    first, last = _first(stretch), round(stretch.end * FPS)
    sound = clip.sound
    if sound is not None:
        begin = first * SAMPLE_RATE // FPS
        sound = sound[begin : last * SAMPLE_RATE // FPS]
        if noise is not None:
            sound = noise.under(sound, round(offset * SAMPLE_RATE) + begin)
    return Clip(sound, None if clip.mouth is None else clip.mouth[first:last])


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"

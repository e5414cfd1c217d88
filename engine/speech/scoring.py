"""Word error rates of a speech model while it learns: clip by clip, so that others may work in between."""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol

from engine.speech.clip import Clip, Mode
from engine.speech.decoding import transcribe
from engine.speech.errors import count_errors
from engine.speech.model import SpeechModel

__all__ = ["Clips", "word_errors"]

Steps = Generator[tuple[int, int], None, dict[str, float]]


class Clips(Protocol):
    """Clips that may be read only when one is asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, at: int, /) -> Clip: ...


def word_errors(model: SpeechModel, clips: Clips) -> Steps:
    """{"wer audio", "wer video", "wer both": rate} of ``model`` at its finest rates, as far as it knows these
    modes and clips have what they read; nobody asks whether somebody speaks. Yields (done, of how many) after
    each transcript."""
    everything = range(len(clips))
    work = [(mode, number) for mode in model.modes for number in everything if _has(clips[number], mode)]
    said: dict[Mode, list[str]] = {}
    heard: dict[Mode, list[str]] = {}
    for done, (mode, number) in enumerate(work, 1):
        clip = clips[number]
        said.setdefault(mode, []).append(clip.text)
        heard.setdefault(mode, []).append(transcribe(model, [clip], mode, gated=False)[0].text)
        yield done, len(work)
    rates = {mode: count_errors(texts, heard[mode]).rate for mode, texts in said.items()}
    return {f"wer {mode}": rate for mode, rate in rates.items() if rate is not None}


def _has(clip: Clip, mode: Mode) -> bool:
    heard, seen = clip.sound is not None, clip.mouth is not None
    return {"audio": heard, "video": seen, "both": heard and seen}[mode]

"""Word errors of a speech model on held-out clips in babble: by ear, eye and both, with controls."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy
import torch

from engine.speech.clip import Clip, Mode
from engine.speech.decoding import transcribe
from engine.speech.errors import count_errors
from engine.speech.model import SpeechModel
from engine.speech.noise import babble, mix
from engine.speech.shape import FPS

__all__ = ["CONTROLS", "SNRS", "Rate", "score"]

SNRS = (math.inf, 10.0, 5.0, 0.0, -5.0, -10.0)
VOICES = 6
BATCH = 25
SHIFT = FPS // 5
"""Pictures in 200 ms."""


@dataclass(frozen=True)
class Rate:
    """A word error rate over ``n`` clips, and the middle 95 % of it over clips drawn again (bootstrap)."""

    value: float
    low: float
    high: float
    n: int


Clips = Sequence[Clip]


def _other(clips: Clips, number: int) -> Clip:
    return replace(clips[number], mouth=clips[(number + 1) % len(clips)].mouth)


def _shifted(clips: Clips, number: int) -> Clip:
    mouth = clips[number].mouth
    assert mouth is not None
    return replace(clips[number], mouth=torch.cat([mouth[:1].expand(SHIFT, -1, -1), mouth[:-SHIFT]]))


def _frozen(clips: Clips, number: int) -> Clip:
    mouth = clips[number].mouth
    assert mouth is not None
    return replace(clips[number], mouth=mouth[len(mouth) // 2].expand_as(mouth).clone())


CONTROLS: Mapping[str, Callable[[Clips, int], Clip]] = {
    "shifted 200 ms": _shifted,
    "frozen": _frozen,
    "another sentence's": _other,
}
"""Lips that cannot help: where they do, the gain was not theirs."""


def score(model: SpeechModel, clips: Clips, snrs: Sequence[float] = SNRS) -> dict[str, dict[str, Rate]]:
    """{"audio", "both", a control's name: {dB: Rate}} and {"video": {"": Rate}} on clips with sound and lips.

    The babble of a clip is of other clips and the same for all, at every ratio.
    """
    found: dict[str, dict[str, Rate]] = {"video": {"": _rate(model, clips, "video")}}
    tests = {"audio": clips, "both": clips}
    tests |= {name: [made(clips, i) for i in range(len(clips))] for name, made in CONTROLS.items()}
    for name, those in tests.items():
        mode: Mode = "audio" if name == "audio" else "both"
        found[name] = {
            f"{snr:g}": _rate(model, [_noisy(those, i, snr) for i in range(len(those))], mode) for snr in snrs
        }
    return found


def _noisy(clips: Clips, number: int, snr: float) -> Clip:
    sound = clips[number].sound
    assert sound is not None
    chance = torch.Generator().manual_seed(number)
    drawn = (number + 1 + torch.randperm(len(clips) - 1, generator=chance)[:VOICES]) % len(clips)
    voices = [voice for i in drawn.tolist() if (voice := clips[i].sound) is not None]
    return replace(clips[number], sound=mix(sound, babble(voices, len(sound), chance), snr))


def _rate(model: SpeechModel, clips: Clips, mode: Mode) -> Rate:
    errors, words = [], []
    for first in range(0, len(clips), BATCH):
        part = clips[first : first + BATCH]
        for clip, heard in zip(part, transcribe(model, part, mode, gated=False), strict=True):
            one = count_errors([clip.text], [heard.text])
            errors.append(one.substitutions + one.deletions + one.insertions)
            words.append(one.words)
    wrong, said = numpy.array(errors), numpy.array(words)
    drawn = numpy.random.default_rng(0).integers(len(clips), size=(1000, len(clips)))
    rates = wrong[drawn].sum(1) / said[drawn].sum(1)
    low, high = numpy.quantile(rates, (0.025, 0.975))
    return Rate(float(wrong.sum() / said.sum()), float(low), float(high), len(clips))

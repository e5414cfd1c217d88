"""Word errors of a speech model on held-out clips in babble: by ear, eye and both, with controls."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.speech.clip import Clip, Mode
from engine.speech.decoding import transcribe
from engine.speech.encoders import AvHubertEye
from engine.speech.errors import count_errors
from engine.speech.model import SpeechModel
from engine.speech.noise import babble, mix
from engine.speech.shape import FPS
from engine.starter.speech.looks import Looked, looked

__all__ = ["CONTROLS", "SNRS", "Rate", "Scores", "score"]

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


def _late(mouths: Sequence[Tensor], number: int) -> Tensor:
    mouth = mouths[number]
    return torch.cat([mouth[:1].expand(SHIFT, -1, -1), mouth[:-SHIFT]])


def _early(mouths: Sequence[Tensor], number: int) -> Tensor:
    mouth = mouths[number]
    return torch.cat([mouth[SHIFT:], mouth[-1:].expand(SHIFT, -1, -1)])


def _frozen(mouths: Sequence[Tensor], number: int) -> Tensor:
    mouth = mouths[number]
    return mouth[len(mouth) // 2].expand_as(mouth)


def _other(mouths: Sequence[Tensor], number: int) -> Tensor:
    return mouths[(number + 1) % len(mouths)]


CONTROLS: Mapping[str, Callable[[Sequence[Tensor], int], Tensor]] = {
    "200 ms late": _late,
    "200 ms early": _early,
    "frozen": _frozen,
    "another sentence's": _other,
}
"""Lips that cannot help: where they do, the gain was not theirs."""


@dataclass(frozen=True)
class Scores:
    """``rates``: {"audio", "video", "both", a control's name: {dB: Rate}}. ``gain``: {"both" or a control's
    name: {dB: Rate}}, the share of the errors by ear that are no more with these lips; intervals are of
    clips drawn again, the same for both."""

    rates: dict[str, dict[str, Rate]]
    gain: dict[str, dict[str, Rate]]


def score(
    model: SpeechModel, eye: AvHubertEye, clips: Sequence[Clip], snrs: Sequence[float] = SNRS
) -> Scores:
    """Word errors on ``clips``, which have sound and lips; ``eye`` looks once at each; ``model``
    has a KeptEye.

    The babble of a clip is of other clips and the same for all, at every ratio.
    """
    mouths = [clip.mouth for clip in clips if clip.mouth is not None]
    tests: dict[str, list[Looked]] = {"both": [looked(eye, clip) for clip in clips]}
    tests["audio"] = tests["video"] = tests["both"]
    for name, made in CONTROLS.items():
        odd = (replace(clip, mouth=made(mouths, number)) for number, clip in enumerate(clips))
        tests[name] = [looked(eye, clip) for clip in odd]
    counts: dict[str, dict[str, _Counts]] = {}
    for name, those in tests.items():
        mode: Mode = "audio" if name == "audio" else "video" if name == "video" else "both"
        counts[name] = {
            f"{snr:g}": _count(model, [_noisy(those, i, snr) for i in range(len(those))], mode)
            for snr in (snrs if mode != "video" else (math.inf,))
        }
    return Scores(
        {name: {snr: one.rate() for snr, one in row.items()} for name, row in counts.items()},
        {
            name: {snr: one.gain(counts["audio"][snr]) for snr, one in counts[name].items()}
            for name in ("both", *CONTROLS)
        },
    )


def _noisy(clips: Sequence[Looked], number: int, snr: float) -> Looked:
    sound = clips[number].sound
    assert sound is not None
    chance = torch.Generator().manual_seed(number)
    drawn = (number + 1 + torch.randperm(len(clips) - 1, generator=chance)[:VOICES]) % len(clips)
    voices = [voice for i in drawn.tolist() if (voice := clips[i].sound) is not None]
    if snr == math.inf:
        return clips[number]
    return replace(clips[number], sound=mix(sound, babble(voices, len(sound), chance), snr))


@dataclass(frozen=True)
class _Counts:
    """Wrong and said words, clip by clip."""

    wrong: NDArray[numpy.int64]
    said: NDArray[numpy.int64]

    def rate(self) -> Rate:
        drawn = self._drawn()
        rates = self.wrong[drawn].sum(1) / self.said[drawn].sum(1)
        return _rate(float(self.wrong.sum() / self.said.sum()), rates, len(self.said))

    def gain(self, before: _Counts) -> Rate:
        drawn = self._drawn()
        gains = 1 - self.wrong[drawn].sum(1) / before.wrong[drawn].sum(1).clip(1)
        return _rate(float(1 - self.wrong.sum() / max(1, before.wrong.sum())), gains, len(self.said))

    def _drawn(self) -> NDArray[numpy.int64]:
        count = len(self.said)
        return numpy.random.default_rng(0).integers(count, size=(2000, count))


def _rate(value: float, drawn: NDArray[numpy.float64], n: int) -> Rate:
    low, high = numpy.quantile(drawn, (0.025, 0.975))
    return Rate(value, float(low), float(high), n)


def _count(model: SpeechModel, clips: Sequence[Clip], mode: Mode) -> _Counts:
    wrong, said = [], []
    for first in range(0, len(clips), BATCH):
        part = clips[first : first + BATCH]
        for clip, heard in zip(part, transcribe(model, part, mode, gated=False), strict=True):
            one = count_errors([clip.text], [heard.text])
            wrong.append(one.substitutions + one.deletions + one.insertions)
            said.append(one.words)
    return _Counts(numpy.array(wrong), numpy.array(said))

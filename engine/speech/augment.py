"""What training does to a clip so that its words survive noise, gaps and a head that moves.

Everything is drawn from torch's own generator, which the training loop owns.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from engine.speech.clip import Clip
from engine.speech.noise import SNRS, babble, mix
from engine.speech.shape import CROP, FPS, SAMPLE_RATE

__all__ = ["augmented", "gapped", "narrowed"]

VOICES = 6
"""Voices at once in babble, at most."""
LONGEST_GAP = 0.4
"""Seconds of a second that may be masked (AV training of arXiv 2303.14307)."""


NARROW = 0.2
"""The share of sounds that ``narrowed`` narrows."""
EDGE, STOP = (3300.0, 4000.0), (40.0, 110.0)
"""Hz above which these have next to nothing, and by how many dB it is less."""


class Voices(Protocol):
    """Sounds [samples], which may be read only when one is asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, at: int, /) -> Tensor: ...


def augmented(clip: Clip, others: Voices) -> Clip:
    """``clip`` with babble of ``others`` at a drawn ratio, gaps in sound and lips, and a drawn crop."""
    sound, mouth = clip.sound, clip.mouth
    if sound is not None:
        sound = gapped(_noisy(sound, others))
    if mouth is not None:
        mouth = _with_gaps(_cropped(mouth), FPS)
    return replace(clip, sound=sound, mouth=mouth)


def _noisy(sound: Tensor, others: Voices) -> Tensor:
    snr = SNRS[int(torch.randint(len(SNRS), ()))]
    voices = [others[i] for i in torch.randperm(len(others))[:VOICES].tolist()]
    voices = [voice for voice in voices if voice.any()]
    if not voices or not sound.any():
        return sound
    return mix(sound, babble(voices, len(sound)), snr)


def gapped(sound: Tensor) -> Tensor:
    """``sound`` with gaps in it."""
    return _with_gaps(sound, SAMPLE_RATE)


def narrowed(sound: Tensor) -> Tensor:
    """Now and then ``sound`` [samples] as a telephone, or a file of 8 kHz, has it: its upper half is gone."""
    if float(torch.rand(())) >= NARROW:
        return sound
    edge, stop = (low + (high - low) * float(torch.rand(())) for low, high in (EDGE, STOP))
    spectrum = torch.fft.rfft(sound)
    spectrum[round(edge / SAMPLE_RATE * len(sound)) :] *= 10 ** (-stop / 20)
    narrow: Tensor = torch.fft.irfft(spectrum, len(sound))
    return narrow


def _with_gaps(signal: Tensor, rate: int) -> Tensor:
    """For each second begun one stretch of up to 0.4 s in which there is only the mean."""
    signal = signal.clone()
    middle = signal.float().mean().to(signal.dtype)
    for _ in range(-(-len(signal) // rate)):
        length = int(torch.rand(()) * LONGEST_GAP * rate)
        start = int(torch.randint(max(1, len(signal) - length + 1), ()))
        signal[start : start + length] = middle
    return signal


def _cropped(mouth: Tensor) -> Tensor:
    top, left = (int(torch.randint(size - CROP + 1, ())) for size in mouth.shape[-2:])
    return mouth[:, top : top + CROP, left : left + CROP]

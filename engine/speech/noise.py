"""Noise at a stated signal-to-noise ratio, and babble made of other voices."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from engine.formats.errors import StudioError

__all__ = ["SNRS", "Background", "babble", "mix"]

SNRS = (-5.0, 0.0, 5.0, 10.0, 15.0, 20.0, math.inf)
"""Decibels at which training mixes babble in; infinite: clean."""


def mix(speech: Tensor, noise: Tensor, snr: float) -> Tensor:
    """``speech`` + g ``noise``, both [samples], with mean(speech^2) / mean((g noise)^2) = 10^(snr / 10).

    The noise is repeated or cut to the speech's length first; its mean power is that of what is used. The
    sum may leave -1 ... 1. An infinite ``snr`` is the speech alone. StudioError("data") when one of the two
    is silent, because then no ratio can be had.
    """
    if snr == math.inf:
        return speech
    if not len(noise):
        raise StudioError("data", "There is no noise to mix in.", "Give a noise with at least one sample.")
    used = noise.repeat(-(-len(speech) // len(noise)))[: len(speech)]
    powers = [float(part.double().square().mean()) if len(part) else 0.0 for part in (speech, used)]
    return (speech.double() + _gain(powers[0], powers[1], snr) * used.double()).to(speech.dtype)


def _gain(speech: float, noise: float, snr: float) -> float:
    """What noise of a power has to be multiplied with to be ``snr`` dB below speech of another."""
    if min(speech, noise) == 0 or not math.isfinite(snr):
        raise StudioError(
            "data",
            f"The {'noise' if speech else 'speech'} is silent, so noise cannot be mixed in at {snr:g} dB.",
            "Choose a clip and a noise that can be heard, and a number of decibels.",
        )
    return math.sqrt(speech / (noise * 10 ** (snr / 10)))


class Background:
    """``noise`` [samples] under a clip of ``samples`` samples and mean square ``power``, at ``snr`` dB, begun
    where ``seed`` says: over the whole clip the same as ``mix``, and the same whichever part of it is heard.

    StudioError("data") as of ``mix``.
    """

    def __init__(self, noise: Tensor, samples: int, power: float, snr: float, seed: int) -> None:
        if not len(noise) or not samples:
            raise StudioError(
                "data", "There is nothing to be mixed.", "Choose a clip and a noise with sound."
            )
        start = int(torch.randint(len(noise), (), generator=torch.Generator().manual_seed(seed)))
        self._noise = noise.roll(-start)
        rounds, rest = divmod(samples, len(noise))
        squares = self._noise.double().square()
        used = float(rounds * squares.sum() + squares[:rest].sum()) / samples
        self._gain = _gain(power, used, snr)

    def under(self, sound: Tensor, first: int) -> Tensor:
        """``sound``, which begins at sample ``first`` of the clip (before it: negative), with the noise."""
        places = torch.arange(first, first + len(sound)) % len(self._noise)
        return (sound.double() + self._gain * self._noise[places].double()).to(sound.dtype)


def babble(voices: Sequence[Tensor], samples: int, generator: torch.Generator | None = None) -> Tensor:
    """[samples] of all ``voices`` at once, equally loud, each begun at a random place and repeated.

    Silent voices are left out; StudioError("data") when none is left.
    """
    heard = [voice.double() for voice in voices if len(voice) and voice.any()]
    if not heard:
        raise StudioError("data", "Babble needs voices, and there is none.", "Give clips with sound.")
    together = torch.zeros(samples, dtype=torch.float64)
    for voice in heard:
        start = int(torch.randint(len(voice), (), generator=generator))
        rolled = torch.cat([voice[start:], voice[:start]]).repeat(-(-samples // len(voice)))[:samples]
        together += rolled / voice.square().mean().sqrt()
    return (together / len(heard)).float()

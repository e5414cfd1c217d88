"""Clips that are told apart by a tone and a pattern, and how a model of the tests is asked about them."""

from __future__ import annotations

import functools
import math

import torch

from engine.speech import decoding
from engine.speech.clip import Clip
from engine.speech.config import SpeechConfig

transcribe = functools.partial(decoding.transcribe, gated=False)  # of tones, which are no speech
CONFIG = SpeechConfig(audio_rates=(4, 10), video_rates=(2, 5), hidden=24)


def clip(number, seconds=0.4, text=""):
    """A tone whose pitch, and a mouth whose pattern, tell the number."""
    t = torch.arange(int(seconds * 16000)) / 16000
    sound = torch.sin(2 * math.pi * 150 * 2**number * t) * 0.3
    pattern = torch.randint(2, (8, 8), generator=torch.Generator().manual_seed(number)) * 255
    mouth = pattern.to(torch.uint8).repeat_interleave(12, 0).repeat_interleave(12, 1)
    return Clip(sound, mouth.repeat(int(seconds * 25), 1, 1), text)


CLIPS = [clip(0, text="One."), clip(1, 0.4, "two"), clip(2, 0.48, "three"), clip(3, 0.4, "four")]

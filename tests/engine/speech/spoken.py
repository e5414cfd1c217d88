"""Sounds that are speech to a gate, files of them, and a listener that hears a word in all it is given."""

from __future__ import annotations

import functools
import math

import numpy

from engine.speech.decoding import Transcript, Word
from engine.speech.listening import listen
from tests.engine.speech.drawn import head, record

RATE = 16000


@functools.lru_cache
def babbling(seconds, seed=0, pitch=110.0):
    """A voice without words: six syllables a second, each a hiss and a buzz with formants of its own."""
    rng = numpy.random.default_rng(seed)
    samples = int(seconds * RATE)
    t = numpy.arange(samples) / RATE
    knots = numpy.arange(0, seconds + 0.4, 1 / 6)
    formants = [numpy.interp(t, knots, rng.uniform(*span, len(knots))) for span in ((250, 850), (900, 2500))]
    buzz = numpy.zeros(samples)
    for k in range(1, 28):
        gain = sum(1 / (1 + ((k * pitch - formant) / 80) ** 2) for formant in formants)
        buzz += gain * numpy.sin(2 * math.pi * k * pitch * t)
    hiss = numpy.diff(rng.normal(0, 0.5, samples + 1))
    consonant = (t * 6 % 1) < 0.3
    voice = numpy.where(consonant, hiss, buzz)
    return (voice / numpy.abs(voice).max() * 0.4).astype(numpy.float32)


def talk(*parts, floor=1e-4):
    """Seconds of talking (positive) and of a quiet room (negative), one after the other."""
    pieces = [babbling(p, i) if p > 0 else numpy.zeros(int(-p * RATE)) for i, p in enumerate(parts)]
    sound = numpy.concatenate(pieces)
    return (sound + numpy.random.default_rng(9).normal(0, floor, len(sound))).astype(numpy.float32)


def at_rate(sound, rate):
    places = numpy.arange(int(len(sound) * rate / RATE)) * (RATE / rate)
    return numpy.interp(places, numpy.arange(len(sound)), sound)


@functools.lru_cache
def face(opening):
    return head(160, 110, 60, opening, width=320, height=240)[0]


def faces(times, moving=True):
    """A head whose mouth opens and closes four times a second."""
    return [face(round(4 + 3 * math.sin(8 * math.pi * t)) if moving else 3) for t in times]


def clip_file(path, sound=None, fps=25, *, moving=True, pictures=None, times=None, rate=48000, channels=2):
    """A file of ``sound`` at 16 kHz and of a talking head as long."""
    if times is None:
        times = [] if fps is None else [i / fps for i in range(int(len(sound) / RATE * fps))]
    shown = pictures if pictures is not None else faces(times, moving)
    record(path, times, shown, None if sound is None else at_rate(sound, rate), rate, channels)
    return path


class Parrot:
    """Hears a word in whatever it is given, in its middle, and remembers what that was."""

    name = "parrot"
    audio_rates = video_rates = (2, 4)

    def __init__(self, modes=("audio", "video", "both"), pause=math.inf):
        self.modes, self.pause = modes, pause
        self.asked = []

    def transcribe(self, clips, mode, rates=None, beams=1):
        self.asked += [(clip, mode, rates, beams) for clip in clips]
        return [
            Transcript("polly", (Word("polly", 0.5, c.seconds / 2, c.seconds / 2 + 0.1),), read=7)
            for c in clips
        ]

    def close(self):
        pass


def heard(listener, path, mode="both", **options):
    """(the Transcript, all Heards on the way)."""
    said, work = [], listen(listener, path, mode, **options)
    while True:
        try:
            if (one := next(work)) is not None:
                said.append(one)
        except StopIteration as end:
            return end.value, said

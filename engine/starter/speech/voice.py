"""Sentences said by espeak-ng, with the time of every sound and word. The model itself does not need it.

The library is asked through ctypes: a process for each of thousands of sentences would take ten
times as long, and its command line does not tell the times. The library remembers: a sentence sounds the same
only after the same sentences, in a new process.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import random
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

from engine.formats.errors import StudioError
from engine.speech.shape import SAMPLE_RATE
from engine.starter.speech.grammar import Split

__all__ = ["ACCENTS", "TIMBRES", "Said", "Speaker", "Timed", "draw_speaker", "say", "there_is_espeak"]

ACCENTS = ("en-us", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-029", "en-us-nyc")
TIMBRES: dict[Split, tuple[str, ...]] = {
    "train": (
        "m1", "m2", "m3", "m4", "m6", "m8", "f1", "f2", "f3", "f5", "Andy", "belinda", "Denis", "max",
        "zac", "Alicia",
    ),
    "heldout": ("m5", "m7", "f4", "Annie", "Mario", "steph"),
}  # fmt: skip
LETTERS = dict(
    a="'eI", b="b'i:", c="s'i:", d="d'i:", e="'i:", f="'Ef", g="dZ'i:", h="'eItS", i="'aI", j="dZ'eI",
    k="k'eI", l="'El", m="'Em", n="'En", o="'oU", p="p'i:", q="kj'u:", r="'A@", s="'Es", t="t'i:",
    u="j'u:", v="v'i:", x="'Eks", y="w'aI", z="z'Ed",
)  # fmt: skip
"""The names of letters as espeak-ng writes sounds; left to itself it reads "a" as the article."""
SYNCHRONOUS, PHONEME_EVENTS, READS_PHONEMES = 2, 1, 0x100
END, WORD, PHONEME = 0, 1, 7
RATE, PITCH = 1, 3


@dataclass(frozen=True)
class Speaker:
    """A voice of espeak-ng, words a minute, and pitch (0 to 99)."""

    name: str
    rate: int
    pitch: int


@dataclass(frozen=True)
class Timed:
    """A sound or a word, and the second at which it begins."""

    start: float
    name: str


@dataclass(frozen=True)
class Said:
    """``sound`` float32 [samples] at 16 kHz, its ``phonemes`` and ``words``."""

    sound: NDArray[numpy.float32]
    phonemes: tuple[Timed, ...]
    words: tuple[Timed, ...]


def draw_speaker(split: Split, rng: random.Random) -> Speaker:
    """One of the voices of ``split``, faster or slower, higher or lower."""
    name = f"{rng.choice(ACCENTS)}+{rng.choice(TIMBRES[split])}"
    return Speaker(name, rng.randint(140, 200), rng.randint(30, 70))


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("milliseconds", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


def there_is_espeak() -> bool:
    """Whether the library is installed."""
    return ctypes.util.find_library("espeak-ng") is not None


class _Espeak:
    """The library, which is one for the whole process."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("espeak-ng")
        if name is None:
            raise StudioError(
                "usage", "espeak-ng is not installed.", "Install it (apt-get install espeak-ng)."
            )
        self._library: Any = ctypes.CDLL(name)
        self._chance: Any = ctypes.CDLL(None)
        self.rate: int = self._library.espeak_Initialize(SYNCHRONOUS, 0, None, PHONEME_EVENTS)
        self._heard = _Callback(self._hear)  # the library keeps no reference of its own
        self._library.espeak_SetSynthCallback(self._heard)
        self._sound: list[NDArray[numpy.int16]] = []
        self._events: list[tuple[int, float, str]] = []

    def _hear(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self._sound.append(numpy.ctypeslib.as_array(samples, (count,)).copy())
        number = 0
        while (event := events[number]).type != END:
            name = event.id.string.decode("utf-8", "replace") if event.type == PHONEME else ""
            self._events.append((event.type, event.milliseconds / 1000, name))
            number += 1
        return 0

    def say(self, text: str, speaker: Speaker) -> tuple[NDArray[numpy.int16], list[tuple[int, float, str]]]:
        self._sound.clear()
        self._events.clear()
        if self._library.espeak_SetVoiceByName(speaker.name.encode()) != 0:
            raise StudioError(
                "usage", f"espeak-ng has no voice {speaker.name}.", "Install all of its voices."
            )
        self._library.espeak_SetParameter(RATE, speaker.rate, 0)
        self._library.espeak_SetParameter(PITCH, speaker.pitch, 0)
        self._chance.srand(1)  # its breath is drawn by the C library; a run shall sound as the last
        data = text.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, 1, 0, 1 | READS_PHONEMES, None, None)
        self._library.espeak_Synchronize()
        return numpy.concatenate(self._sound), list(self._events)


_espeak: _Espeak | None = None


def say(sentence: str, speaker: Speaker) -> Said:
    """``sentence`` of the grammar said by ``speaker``. StudioError when espeak-ng is missing or says
    something else."""
    global _espeak
    _espeak = _espeak or _Espeak()
    words = sentence.split()
    text = " ".join(f"[[{LETTERS[word]}]]" if len(word) == 1 else word for word in words)
    sound, events = _espeak.say(text, speaker)
    # The last pause is now and then told as a word of its own.
    end = max((time for kind, time, name in events if kind == PHONEME and name[:1] != "_"), default=0.0)
    starts = [time for kind, time, _ in events if kind == WORD and time <= end]
    if len(starts) != len(words):
        raise StudioError("failed", f"espeak-ng said {len(starts)} words of {len(words)}.", "", sentence)
    return Said(
        _at_16_khz((sound / 32768).astype(numpy.float32), _espeak.rate),
        tuple(Timed(time, name) for kind, time, name in events if kind == PHONEME),
        tuple(Timed(time, word) for time, word in zip(starts, words, strict=True)),
    )


def _at_16_khz(sound: NDArray[numpy.float32], rate: int) -> NDArray[numpy.float32]:
    """By its spectrum, whole: what is above 8 kHz is cut off."""
    length = round(len(sound) * SAMPLE_RATE / rate)
    spectrum = numpy.fft.rfft(sound)[: length // 2 + 1]
    found: NDArray[numpy.float32] = (numpy.fft.irfft(spectrum, length) * (length / len(sound))).astype(
        numpy.float32
    )
    return found

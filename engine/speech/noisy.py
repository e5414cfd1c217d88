"""Babble under the sound of a whole file, for a model and for the ear: both hear the same."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path

import numpy
import torch
from torch import Tensor

import resources
from engine.formats.errors import DataError, StudioError
from engine.formats.files import explain_os_error
from engine.speech.media import Lost, probe, read_sound
from engine.speech.noise import Background
from engine.speech.shape import SAMPLE_RATE

__all__ = ["BABBLE", "background", "blocks", "write_noisy"]

BABBLE = Path(next(iter(resources.__path__))) / "starter" / "speech" / "babble.flac"
"""Several voices at once, as they come with the studio."""
BLOCK = 30.0
"""Seconds that are read at once."""


def blocks(
    path: Path, seconds: float, shift: float = 0.0, lost: Lost | None = None
) -> Iterator[tuple[float, Tensor]]:
    """The sound of a file in parts of 30 s, each with the second at which it begins; moved by ``shift``.
    What is missing of it is noted in ``lost``."""
    for number in range(max(1, -int(-seconds // BLOCK))):
        start = number * BLOCK
        sound = read_sound(path, start - shift, min(seconds, start + BLOCK) - shift, lost)
        if sound is None or not len(sound):
            return
        yield start, torch.from_numpy(sound)


def background(path: Path, babble: str | Path | None, snr: float, seed: int) -> Background | None:
    """``babble`` (default: the studio's) under the sound of the file at ``path``; None where that is silence,
    to which there is no ratio. DataError where one of them cannot be read or has no sound;
    StudioError("missing") where the studio's is not there."""
    facts = probe(path)
    samples, squares = 0, 0.0
    for _, sound in blocks(path, facts.seconds):
        samples += len(sound)
        squares += float(sound.double().square().sum())
    if babble is None and not BABBLE.is_file():
        raise StudioError(
            "missing",
            "The studio's babble is not there: the installation is incomplete.",
            "Install the studio again, or transcribe without noise.",
            str(BABBLE),
        )
    noise = read_sound(babble or BABBLE)
    if noise is None or not samples:
        raise DataError("There is no sound to mix.", "Choose a clip that has sound.")
    if squares == 0:
        return None
    return Background(torch.from_numpy(noise), samples, squares / samples, snr, seed)


def write_noisy(
    path: str | Path,
    target: Path,
    snr: float | None,
    *,
    babble: str | Path | None = None,
    seed: int = 0,
    shift: float = 0.0,
) -> Iterator[float]:
    """Write the sound of ``path`` with babble as a WAV file, mono, 16 bits, 16 kHz: what ``listen`` hears.

    Yields the seconds that are written; the last is its length. What leaves -1 ... 1 is cut off, which only
    the ear gets to hear. Errors as of ``background``, and StudioError("disk").
    """
    path = Path(path)
    facts = probe(path)
    if not facts.rate:
        raise DataError(f"There is no sound in {path.name}.", "Choose another clip.")
    noise = None if snr is None else background(path, babble, snr, seed)
    try:
        with wave.open(str(target), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            for start, sound in blocks(path, facts.seconds, shift):
                heard = sound if noise is None else noise.under(sound, round(start * SAMPLE_RATE))
                file.writeframes(
                    (heard.clamp(-1, 1) * 32767).round().numpy().astype(numpy.dtype("<i2")).tobytes()
                )
                yield start + len(sound) / SAMPLE_RATE
    except OSError as error:
        raise explain_os_error(error, "writing the sound with babble") from error

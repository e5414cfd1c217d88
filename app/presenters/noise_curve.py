"""Word error rate against noise: a point for each transcription that was checked, a line for each sense."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from msgspec.structs import replace

from engine.messages import SpeechMode, Transcribe, Transcript

__all__ = ["CLEAN", "SNRS", "NoisePoint", "lines"]

SNRS = (20.0, 15.0, 10.0, 5.0, 0.0, -5.0, -10.0)
CLEAN = None


@dataclass(frozen=True)
class NoisePoint:
    """``snr`` in dB, None without noise; ``wer`` the share of words that are wrong, over 1 for many added."""

    snr: float | None
    wer: float


def lines(
    answers: Iterable[tuple[Transcribe, Transcript]], like: Transcribe
) -> dict[SpeechMode, tuple[NoisePoint, ...]]:
    """The points of all answers to questions like ``like`` but for sense and noise, clean ones first. Of a
    sense that the clip did not allow there are none."""
    found: dict[SpeechMode, list[NoisePoint]] = {"audio": [], "video": [], "both": []}
    for asked, said in answers:
        is_like = replace(asked, mode=like.mode, snr=like.snr) == like
        if is_like and said.wer is not None and said.read_as == asked.mode:
            found[asked.mode].append(NoisePoint(asked.snr, said.wer))
    return {mode: tuple(sorted(points, key=_noise)) for mode, points in found.items()}


def _noise(point: NoisePoint) -> float:
    return float("-inf") if point.snr is None else -point.snr

"""Where a long recording can be parted: in its pauses, so that no word is cut where there is one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from engine.speech.gate import LEAD, Stretch, mouth_stretches
from engine.speech.shape import SAMPLE_RATE

__all__ = ["LONGEST", "quietest", "sentences", "stillest"]

LONGEST = 20.0
"""Seconds that are given to a model at once."""
QUIET = 0.3
"""Seconds over which loudness is averaged to find the quietest moment."""
ALIKE = 4.0
"""Times the least mean square (6 dB) that are as quiet."""
STEP = SAMPLE_RATE // 100
MARGIN = 0.3
"""Seconds left before and after what is said."""


def quietest(sound: Tensor, first: float, last: float) -> float:
    """The latest second between ``first`` and ``last`` around which ``sound`` [samples] is about as quiet as
    anywhere; ``last`` where it has ended before."""
    part = sound[round(first * SAMPLE_RATE) : round(last * SAMPLE_RATE)].float()
    steps = len(part) // STEP
    width = round(QUIET * SAMPLE_RATE / STEP)
    if steps < width:
        return last
    energy = part[: steps * STEP].reshape(steps, STEP).square().mean(1)
    smooth = functional.avg_pool1d(energy[None], width, 1)[0]
    place = int((smooth <= ALIKE * smooth.min()).nonzero()[-1])
    return first + (place + width / 2) * STEP / SAMPLE_RATE


def stillest(mouth: Tensor, first: float, last: float) -> float:
    """The middle of the longest rest of the lips in ``mouth`` [frames, H, W] between two seconds; ``last``
    where they never rest."""
    moving = [one for one in mouth_stretches(mouth) if one.end > first]
    edges = [(first, first), *((one.start, one.end) for one in moving), (last, last)]
    rests = [(after[0] - before[1], before[1]) for before, after in itertools.pairwise(edges)]
    length, start = max(rests)
    return start + length / 2 if length > 0 else last


def sentences(spoken: Sequence[Stretch], length: float, pause: float) -> list[Stretch]:
    """``spoken`` put together over pauses shorter than ``pause``, each with a margin that stays within
    ``length`` seconds and goes at most half way to its neighbour."""
    joined: list[list[float]] = []
    for one in spoken:
        if joined and one.start - joined[-1][1] + 2 * LEAD < pause:
            joined[-1][1] = one.end
        else:
            joined.append([one.start, one.end])
    found = []
    for number, (start, end) in enumerate(joined):
        before = (start + joined[number - 1][1]) / 2 if number else 0.0
        after = (end + joined[number + 1][0]) / 2 if number + 1 < len(joined) else length
        found.append(Stretch(max(before, start - MARGIN), min(after, end + MARGIN)))
    return found

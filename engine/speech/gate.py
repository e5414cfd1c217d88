"""Did anybody speak? Where a sound has speech, and whether a mouth moves, before words are asked of a model.

A language model invents words for silence, a fan or a hummed tune; so it is asked about speech alone. Speech
is loud against its own background, and its spectrum never rests: in 41 generated recordings (ten words and
sentences, two voices, two backgrounds) its shape moved by 2.5 dB or more in 50 ms, those of hums, tunes, fans
and mains by 1.1 at most; knocks, which move more, are mostly pauses. A voice no louder than a steady noise is
missed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from engine.speech.clip import Clip, Mode
from engine.speech.filterbank import log_energies
from engine.speech.shape import FPS, SAMPLE_RATE

__all__ = [
    "LEAD",
    "Stretch",
    "is_dead",
    "mouth_moves",
    "mouth_stretches",
    "somebody_speaks",
    "speech_span",
    "speech_stretches",
    "spoken_stretches",
]

STEPS = 100
"""Of the filterbank, a second."""
QUIETEST = 30.0
"""dB of the filterbank's energy; what is quieter is silence (white noise at -86 dB below full scale)."""
ABOVE_FLOOR = 6.0
"""dB by which speech stands out from the quietest tenth of its clip."""
FULL = 20.0
"""dB below the loudest that stand out in any case: where somebody speaks all the time nothing is floor."""
DEPTH = 30.0
"""dB below the loudest of a stretch that are looked at: what is below is room, not voice."""
LAG, RESTLESS = 5, 1.8
"""The least mean movement of the spectrum's shape, in dB, within so many steps."""
DENSE = 0.5
"""The least share of loud steps in a stretch: knocks and clicks have less."""
PAUSE, SHORTEST, LEAD = 0.35, 0.12, 0.1
"""Seconds: pauses within a stretch, the shortest stretch, what is added at both ends."""
DEAD, NOISY = 1e-5, 3e-3
"""Root mean squares (-100 and -50 dB) between which a sound without speech is a quiet room."""
_DECIBELS = 10 / math.log(10)


@dataclass(frozen=True)
class Stretch:
    """Somebody speaks from ``start`` to ``end``, in seconds. ``unheard``: there is sound, but only lips say
    so."""

    start: float
    end: float
    unheard: bool = False


def somebody_speaks(clip: Clip, mode: Mode = "both") -> bool:
    """Whether there are words in what ``mode`` reads of ``clip``: in both, sound says so, or lips where the
    sound could hide a voice."""
    return bool(spoken_stretches(clip, mode))


def spoken_stretches(clip: Clip, mode: Mode = "both") -> list[Stretch]:
    """Where there are words in what ``mode`` reads of ``clip``."""
    sound = None if mode == "video" else clip.sound
    heard = [] if sound is None else speech_stretches(sound)
    if heard or mode == "audio" or clip.mouth is None or (sound is not None and _is_quiet(sound)):
        return heard
    return [replace(one, unheard=sound is not None) for one in mouth_stretches(clip.mouth)]


def is_dead(sound: Tensor) -> bool:
    """Whether ``sound`` [samples] is that of no microphone: silence, as no room has it."""
    return _loudness(sound) < DEAD


def _is_quiet(sound: Tensor) -> bool:
    """Whether a voice would be heard in ``sound``, which has none: a quiet room. A dead microphone says
    nothing about a voice, and a noise may hide one."""
    return DEAD <= _loudness(sound) < NOISY


def _loudness(sound: Tensor) -> float:
    return float(sound.float().square().mean().sqrt()) if len(sound) else 0.0


def speech_span(sound: Tensor | None, seconds: float) -> tuple[float, float]:
    """(start, end) of all speech in ``sound``, to the point; all ``seconds`` where none can be told."""
    found = [] if sound is None else speech_stretches(sound)
    if not found:
        return 0.0, seconds
    start, end = found[0].start, found[-1].end
    return start + LEAD if start else start, end - LEAD if end < seconds else end


def speech_stretches(sound: Tensor) -> list[Stretch]:
    """Where in ``sound`` [samples] at 16 kHz somebody speaks; nowhere: an empty list."""
    if not len(sound) or not sound.any():
        return []
    energies = _smooth(log_energies(sound) * _DECIBELS)
    level = torch.logsumexp(energies / _DECIBELS, 1) * _DECIBELS
    floor = min(float(level.quantile(0.1)) + ABOVE_FLOOR, float(level.max()) - FULL)
    loud = level > max(QUIETEST, floor)
    length = len(sound) / SAMPLE_RATE
    return [
        Stretch(max(0.0, first / STEPS - LEAD), min(length, last / STEPS + LEAD))
        for first, last in _runs(loud)
        if loud[first:last].float().mean() >= DENSE
        and _movement(energies[first:last][loud[first:last]]) >= RESTLESS
    ]


def _smooth(energies: Tensor) -> Tensor:
    """Means over 50 ms of the logarithms of each band: noise wavers less than speech does."""
    rows = functional.pad(energies.T[None], (2, 2), mode="replicate")
    return functional.avg_pool1d(rows, 5, 1)[0].T


def _movement(energies: Tensor) -> float:
    """How far the shape of the spectrum moves, whatever else the clip holds that is louder."""
    shape = energies.clamp_min(float(energies.max()) - DEPTH)
    shape = shape - shape.mean(1, keepdim=True)
    return float((shape[LAG:] - shape[:-LAG]).abs().mean()) if len(shape) > LAG else 0.0


def _runs(loud: Tensor) -> list[tuple[int, int]]:
    """Runs of loud steps, joined over pauses, the shortest left out: [(first, after the last)]."""
    runs: list[list[int]] = []
    for step in loud.nonzero().flatten().tolist():
        if runs and step - runs[-1][1] <= PAUSE * STEPS:
            runs[-1][1] = step + 1
        else:
            runs.append([step, step + 1])
    return [(first, last) for first, last in runs if last - first >= SHORTEST * STEPS]


FINE, BLOCK = 2, 8
"""Pixels whose mean is taken before and after a shift is sought, so that grain is not taken for movement."""
PART = 0.95
"""What the most changed twentieth of the picture changes by, at least, is how far lips have moved."""
MOVED, PER_GRAIN = 3.2, 0.24
"""Grey levels by which lips have moved in a picture without grain, and more for each grey level of grain."""
_NORMAL = 0.6745 * math.sqrt(2)
"""The median of the difference of two normal deviates."""
SHORTEST_MOVE = FPS // 5
REST = 0.6
"""Seconds for which lips may stand still within a sentence, as they do in long vowels and closures."""


def mouth_moves(mouth: Tensor) -> bool:
    """Whether the lips in ``mouth`` [frames, H, W] move for a fifth of a second at least.

    What the whole picture does together (light that flickers, a head that sways, a tracker that is unsteady)
    is taken away first; a covered lens shows nothing that could move.
    """
    return bool(mouth_stretches(mouth))


def mouth_stretches(mouth: Tensor) -> list[Stretch]:
    """Where the lips in ``mouth`` [frames, H, W] move, each for a fifth of a second at least.

    Measured on generated clips (held out, lips of 0.86 reach): 298 of 300 sentences are found; of 50 of the
    same faces at rest none is, nor of 12 for 20 s, nor of 10 that smile once. Of whole drawn heads, followed
    by the tracker while they sway by 0, 0.3 and 0.7 pixels a picture, 12 of 13 that speak are, and none of
    3 x 13 at rest (4, 9 and 13 of which change by more than 6 grey levels if the shift is not taken away).
    """
    joined: list[list[float]] = []
    for time in ((number + 1) / FPS for number in _moved(mouth).nonzero().flatten().tolist()):
        if joined and time - joined[-1][-1] <= REST:
            joined[-1].append(time)
        else:
            joined.append([time])
    length = len(mouth) / FPS
    return [
        Stretch(max(0.0, times[0] - LEAD), min(length, times[-1] + LEAD))
        for times in joined
        if len(times) >= SHORTEST_MOVE
    ]


def _moved(mouth: Tensor) -> Tensor:
    """[frames - 1]: whether the lips have moved from each picture to the next, beyond what a shift of the
    whole picture explains (by least squares, as Lucas and Kanade 1981)."""
    if len(mouth) < 2:
        return mouth.new_zeros(0, dtype=torch.bool)
    pictures = functional.avg_pool2d(mouth[:, None].float(), FINE)[:, 0]
    changed = pictures[1:] - pictures[:-1]
    middle = (pictures[1:] + pictures[:-1]) / 2
    across = (middle[:, 1:-1, 2:] - middle[:, 1:-1, :-2]) / 2
    down = (middle[:, 2:, 1:-1] - middle[:, :-2, 1:-1]) / 2
    ways = torch.stack([across, down, torch.ones_like(down)], -1).flatten(1, 2)
    rest = changed[:, 1:-1, 1:-1].flatten(1)[..., None]
    shift = torch.linalg.solve(ways.mT @ ways + 1e-3 * torch.eye(3), ways.mT @ rest)
    rest = (rest - ways @ shift).view_as(down[..., None])[:, None, ..., 0]
    moved = functional.avg_pool2d(rest, BLOCK // FINE).flatten(1).abs().quantile(PART, 1)
    return moved > MOVED + PER_GRAIN * _grain(mouth)


def _grain(mouth: Tensor) -> float:
    """Of a camera, in grey levels: what a pixel of skin wavers by from one picture to the next."""
    return float((mouth[1:].int() - mouth[:-1].int()).abs().flatten()[::7].median()) / _NORMAL

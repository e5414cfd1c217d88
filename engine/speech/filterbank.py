"""What AV-HuBERT hears: 26 logarithms of mel-filtered energy every 10 ms, four of them side by side.

The published model's features to the letter: no window, pre-emphasis 0.97, frames of 25 ms, 512 points,
triangles between whole bins.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from engine.speech.shape import SAMPLE_RATE

__all__ = ["BANDS", "STACKED", "filterbank", "log_energies"]

BANDS, STACKED = 26, 4
FRAME, STEP, POINTS = 400, 160, 512
EMPHASIS = 0.97
FULL_SCALE = 32768
"""Of the 16-bit numbers that the published features are made of."""


@lru_cache(maxsize=1)
def _triangles() -> Tensor:
    """[257, 26]: the weight of each bin in each band, bands equally wide in mel = 2595 log10(1 + f / 700)."""
    highest = 2595 * torch.log10(torch.tensor(1 + SAMPLE_RATE / 2 / 700, dtype=torch.float64))
    mel = torch.linspace(0, float(highest), BANDS + 2, dtype=torch.float64)
    edges = torch.floor((POINTS + 1) * 700 * (10 ** (mel / 2595) - 1) / SAMPLE_RATE)
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    bins = torch.arange(POINTS // 2 + 1, dtype=torch.float64)[:, None]
    rising = (bins - low) / (middle - low).clamp_min(1)
    falling = (high - bins) / (high - middle).clamp_min(1)
    inside = (bins >= low) & (bins < high)
    return (torch.where(bins < middle, rising, falling) * inside).float()


def log_energies(sound: Tensor) -> Tensor:
    """[frames, 26], 100 a second, of ``sound`` [samples] between -1 and 1; the end is filled with silence."""
    sound = sound.float() * FULL_SCALE
    sound = torch.cat([sound[:1], sound[1:] - EMPHASIS * sound[:-1]])
    steps = max(0, -(-(len(sound) - FRAME) // STEP))
    sound = functional.pad(sound, (0, steps * STEP + FRAME - len(sound)))
    power = torch.fft.rfft(sound.unfold(0, FRAME, STEP), POINTS).abs().square() / POINTS
    energy = power @ _triangles().to(power.device)
    return torch.where(energy == 0, torch.finfo(torch.float64).eps, energy).log()


def filterbank(sound: Tensor, frames: int | None = None) -> Tensor:
    """[T, 104], 25 a second: four steps side by side, each row with mean 0 and variance 1.

    The last row is filled up with logarithms that are 0, as in the published features.
    ``frames`` is the length of the video that it shall fit: what is missing is 0, what is too much is cut.
    """
    energies = log_energies(sound)
    energies = functional.pad(energies, (0, 0, 0, -len(energies) % STACKED))
    rows = energies.reshape(-1, STACKED * BANDS)
    if frames is not None:
        rows = functional.pad(rows[:frames], (0, 0, 0, max(0, frames - len(rows))))
    return functional.layer_norm(rows, rows.shape[1:])

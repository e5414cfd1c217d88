"""95 % intervals of what was measured on rows that are a sample: of one share, of a mean, of a difference.

The draws depend on nothing but the number of rows and of runs, so the same inputs always have the same
interval, and what is drawn for a difference is drawn for both arms alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy
from numpy.typing import NDArray

__all__ = ["DIFFERENCE", "SHARE", "Numbers", "mean_interval", "wilson"]

Numbers = NDArray[numpy.float64]
Bounds = tuple[float, float]

SHARE: Bounds = (0.0, 1.0)
"""Between which a row's value lies: right or wrong."""

DIFFERENCE: Bounds = (-1.0, 1.0)
"""The same of a row on which two arms are compared."""

Z = 1.959964
RESAMPLES = 1000

UNSEEN = 0.5
"""Rows at either bound that a sample may have missed, as in Jeffreys' prior of a share."""


def wilson(hits: int, n: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927)."""
    share = hits / n
    middle = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    reach = Z * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def mean_interval(
    sets: Sequence[tuple[Numbers, Numbers]], bounds: Bounds | None = None
) -> tuple[float, float]:
    """Of the mean over ``sets`` of sum(totals) / sum(counts), each set weighing the same whatever its size.

    totals [rows], or [runs, rows] where runs are a sample too (every set of the same runs); counts [rows].
    A Bayesian bootstrap over rows (Rubin 1981), and an ordinary one over runs. With ``bounds`` half a row at
    either bound is added, so that rows that all agree do not look certain: for one set of hits that is
    Jeffreys' Beta(hits + 1/2, misses + 1/2). Several sets share the two halves by the room they leave; a
    half each would together outweigh the rows and push the mean of seven nearly perfect sets below the truth.
    """
    tables = [(numpy.atleast_2d(totals), counts) for totals, counts in sets]
    values = numpy.array([totals.sum() / len(totals) / counts.sum() for totals, counts in tables])
    unseen = [_shared(abs(bound - values)) for bound in bounds or ()]
    drawn = numpy.zeros(RESAMPLES)
    for number, (totals, counts) in enumerate(tables):
        extra = [(bound, share[number]) for bound, share in zip(bounds or (), unseen, strict=True)]
        drawn += _redrawn(number, totals, counts, extra) / len(tables)
    low, high = numpy.percentile(drawn, [2.5, 97.5])
    value = sum(values.tolist()) / len(tables)
    return min(float(low), value), max(float(high), value)


def _shared(room: Numbers) -> Numbers:
    """[sets]: how much of the half row falls to each set."""
    parts: Numbers = UNSEEN * room / room.sum() if room.any() else numpy.zeros(len(room))
    return parts


def _redrawn(number: int, totals: Numbers, counts: Numbers, extra: Sequence[tuple[float, float]]) -> Numbers:
    """[RESAMPLES] ratios under random weights of the rows and of ``extra`` (value, rows); ``number`` keeps
    one set's draws apart from another's."""
    chance, runs = numpy.random.default_rng(number), len(totals)
    weights = chance.standard_exponential((RESAMPLES, len(counts)))
    chosen = numpy.random.default_rng(runs).multinomial(runs, [1 / runs] * runs, RESAMPLES) / runs
    above, below = (chosen @ totals * weights).sum(1), weights @ counts
    for value, rows in extra:
        weight = chance.standard_gamma(rows, RESAMPLES)
        above += value * weight
        below += weight
    ratios: Numbers = above / below
    return ratios

"""95 % intervals of what was measured on rows: Wilson for a share, bootstrap for a ratio and for their mean.

The draws depend on the number of rows and on nothing else, so two measurements of the same rows are always
redrawn alike: their bootstraps are paired.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy
from numpy.typing import NDArray

__all__ = ["Numbers", "bootstrap_gap", "bootstrap_mean", "bootstrap_ratio", "wilson"]

Numbers = NDArray[numpy.float64]
Pair = tuple[Numbers, Numbers]

Z = 1.959964
RESAMPLES = 1000


def wilson(hits: int, n: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927)."""
    share = hits / n
    middle = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    reach = Z * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def bootstrap_ratio(totals: Numbers, counts: Numbers) -> tuple[float, float]:
    """The 95 % percentile interval of sum(totals) / sum(counts) over redrawn rows; always the same one."""
    return bootstrap_mean([(totals, counts)])


def bootstrap_mean(sets: Sequence[Pair]) -> tuple[float, float]:
    """The same of the mean over ``sets`` of (totals, counts), each weighing the same whatever its size."""
    return _middle(_means(sets))


def bootstrap_gap(sets: Sequence[Pair], others: Sequence[Pair]) -> tuple[float, float]:
    """The same of how much greater that mean is than the one of ``others``, measured on the same rows."""
    return _middle(_means(sets) - _means(others))


def _middle(drawn: Numbers) -> tuple[float, float]:
    low, high = numpy.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def _means(sets: Sequence[Pair]) -> Numbers:
    """[RESAMPLES] means over the sets."""
    drawn = [_redrawn(number, totals, counts) for number, (totals, counts) in enumerate(sets)]
    means: Numbers = numpy.mean(drawn, axis=0)
    return means


def _redrawn(number: int, totals: Numbers, counts: Numbers) -> Numbers:
    """[RESAMPLES] ratios of redrawn rows; ``number`` keeps one set's draws apart from another's."""
    rows = len(totals)
    chance = numpy.random.default_rng(number)
    drawn = chance.multinomial(rows, numpy.full(rows, 1 / rows), size=RESAMPLES)
    ratios: Numbers = (drawn @ totals) / (drawn @ counts)
    return ratios

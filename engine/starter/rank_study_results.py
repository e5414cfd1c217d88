"""The files of a rank study as curves, and what is worked out from them: values, areas, differences, costs.

Intervals are those of a comparison (``engine.runtime.intervals``), over the held-out rows and over the seeds;
differences are paired. A mean over sets weighs each the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy

from engine.runtime.intervals import DIFFERENCE, SHARE, Numbers, mean_interval
from engine.starter.rank_study import HIGHEST, SEEDS, SETS

__all__ = ["AREA", "AREA_LOG", "LORA", "RANKS", "Curves", "Estimate", "Results", "at_rank", "parts"]

RANKS = tuple(range(1, HIGHEST + 1))
LORA = "lora"
"""The arm made of one LoRA for each rank."""

Estimate = tuple[float, float, float]
"""A value and its 95 % interval."""


def at_rank(rank: int) -> Numbers:
    """[ranks]: all the weight on one rank."""
    weights: Numbers = numpy.eye(HIGHEST)[rank - 1]
    return weights


def _area(places: Numbers) -> Numbers:
    """[ranks]: what each rank adds to the area under a curve over ``places``; all of them add up to 1."""
    gaps = numpy.diff(places) / (places[-1] - places[0])
    weights: Numbers = (numpy.append(gaps, 0.0) + numpy.insert(gaps, 0, 0.0)) / 2
    return weights


AREA = _area(numpy.array(RANKS, dtype=float))
"""AURAC of MatryoshkaLoRA (arXiv 2605.07850): the area under quality by rank r."""

AREA_LOG = _area(numpy.log2(RANKS))
"""The same over log2 r, where low ranks weigh more."""


@dataclass(frozen=True)
class Curves:
    """An arm on some sets: of each [seeds, ranks, rows] of 0 and 1."""

    hits: Mapping[str, Numbers]

    def value(self, weights: Numbers) -> Estimate:
        """The mean over the sets of what ``weights`` [ranks] makes of a curve."""
        return _estimate([self._weighed(name, weights) for name in self.hits], SHARE)

    def beyond(self, other: Curves, weights: Numbers) -> Estimate:
        """By how much that is more than of ``other``."""
        gaps = [self._weighed(name, weights) - other._weighed(name, weights) for name in self.hits]
        return _estimate(gaps, DIFFERENCE)

    def _weighed(self, name: str, weights: Numbers) -> Numbers:
        """[seeds, rows]"""
        found: Numbers = numpy.einsum("srn,r->sn", self.hits[name], weights)
        return found


def _estimate(sets: Sequence[Numbers], bounds: tuple[float, float]) -> Estimate:
    low, high = mean_interval([(values, numpy.ones(values.shape[1])) for values in sets], bounds)
    return float(numpy.mean([values.mean() for values in sets])), low, high


class Results:
    """The files of a study in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._found: dict[tuple[str, str, int], dict[str, Any]] = {}
        for file in sorted(folder.glob("*.json")):
            one = json.loads(file.read_bytes())
            self._found[one["data"], one["arm"], one["seed"]] = one

    @cached_property
    def sets(self) -> list[str]:
        """The sets on which a DyLoRA and a LoRA for each rank were trained with every seed."""
        return [name for name in SETS if self._files([name], "dylora") and self._files([name], LORA)]

    def curves(self, arm: str, sets: Sequence[str]) -> Curves | None:
        """``arm`` on ``sets``, all seeds; None where one of its files is not there."""
        if not self._files(sets, arm):
            return None
        return Curves({data: numpy.array([self._seed(data, arm, seed) for seed in SEEDS]) for data in sets})

    def seconds(self, sets: Sequence[str], arm: str) -> float:
        """CPU seconds of training on all ``sets``, mean over the seeds; of LORA those of every rank."""
        return sum(float(file["training"]) for file in self._files(sets, arm)) / len(SEEDS)

    def _files(self, sets: Sequence[str], arm: str) -> list[dict[str, Any]]:
        """All files of ``arm`` on ``sets``; none where one of them is not there."""
        keys = [(data, one, seed) for data in sets for one in parts(arm) for seed in SEEDS]
        return [self._found[key] for key in keys] if all(key in self._found for key in keys) else []

    def _seed(self, data: str, arm: str, seed: int) -> list[list[int]]:
        """[ranks, rows]"""
        hits: dict[str, list[int]] = {}
        for one in parts(arm):
            hits |= self._found[data, one, seed]["hits"]
        return [hits[str(rank)] for rank in RANKS]


def parts(arm: str) -> list[str]:
    """The conditions that an arm is made of."""
    return [f"lora-{rank}" for rank in RANKS] if arm == LORA else [arm]

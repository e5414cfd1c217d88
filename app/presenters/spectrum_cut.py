"""An adapter's projections as a model computes them, and what a rank cuts from each in each order."""

from __future__ import annotations

import re
from itertools import accumulate

from msgspec.structs import replace

from engine.messages import RankOrder, Spectrum

__all__ = ["LAYER", "SpectrumCut", "as_read", "sizes_of"]

LAYER = re.compile(r"\.(\d+)\.")
# As a layer computes them; a file has them by the alphabet.
COMPUTED = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def as_read(spectrum: Spectrum) -> Spectrum:
    """The same with its modules as a model computes them: layer by layer, from q_proj to down_proj. Others
    follow those of their layer as the file has them."""
    places = sorted(range(len(spectrum.modules)), key=lambda place: _turn(spectrum.modules[place]))
    return replace(
        spectrum,
        modules=[spectrum.modules[place] for place in places],
        values=[spectrum.values[place] for place in places],
    )


def _turn(module: str) -> tuple[int, int]:
    layer, name = LAYER.search(module), module.rpartition(".")[2]
    turn = COMPUTED.index(name) if name in COMPUTED else len(COMPUTED)
    return int(layer[1]) if layer else -1, turn


class SpectrumCut:
    """``kept(order, rank)`` counts the singular values that each module keeps, ordered as its modules."""

    def __init__(self, spectrum: Spectrum) -> None:
        self._lengths = [len(values) for values in spectrum.values]
        self._spread = _shared_out(spectrum.values)

    def kept(self, order: RankOrder, rank: int) -> list[int]:
        """The first ``rank`` of each, or with "spread" so many on average, the largest of all together."""
        if order == "spread" and self._spread:
            return self._spread[min(rank, len(self._spread)) - 1]
        return [min(rank, length) for length in self._lengths]


def sizes_of(spectrum: Spectrum, order: RankOrder) -> list[int]:
    """Bytes of an adapter at rank 1 and up; shared out, wide projections may take more ranks than narrow."""
    return spectrum.spread_bytes if order == "spread" else spectrum.bytes


def _shared_out(values: list[list[float]]) -> list[list[int]]:
    """For rank 1 and up, how many of the ``rank * len(values)`` largest values lie in each module."""
    every = [(-value, module) for module, row in enumerate(values) for value in row]
    owners = [module for _, module in sorted(every)]
    steps = [owners[start : start + len(values)] for start in range(0, len(owners), len(values) or 1)]

    def further(kept: list[int], step: list[int]) -> list[int]:
        more = list(kept)
        for module in step:
            more[module] += 1
        return more

    return list(accumulate(steps, further, initial=[0] * len(values)))[1:]

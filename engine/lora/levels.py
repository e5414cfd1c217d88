"""How loud each rank column is: numbers that a fader or a rank rewrites in place, all projections at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from engine.formats.errors import StudioError
from engine.lora.stack import Cell, Group, Stack

__all__ = ["Levels"]


class Levels:
    """The levels of one gates. ``groups`` has those of each group: [1, R], or under a router
    [modules * experts, R], to spread its weights over the columns.

    They are views of one piece of memory for each device and number format, so that a write is a handful of
    operations however many projections there are, and takes no memory.
    """

    def __init__(self, stack: Stack, experts: Sequence[str] = ()) -> None:
        sizes: dict[_Kind, int] = {}
        starts = []
        for group in stack.groups:
            kind = _kind(group)
            starts.append(sizes.get(kind, 0))
            sizes[kind] = starts[-1] + _rows(group, experts) * len(group.A)
        with torch.inference_mode(False):
            whole = {kind: torch.zeros(size, device=kind[0], dtype=kind[1]) for kind, size in sizes.items()}
        self.groups = [
            whole[_kind(group)].narrow(0, start, _rows(group, experts) * len(group.A)).view(-1, len(group.A))
            for group, start in zip(stack.groups, starts, strict=True)
        ]
        drafts: dict[str, dict[tuple[_Kind, bool], _Draft]] = {}
        for group, start in zip(stack.groups, starts, strict=True):
            for place, site in enumerate(group.sites):
                for name, cell in site.cells.items():
                    row = place * len(experts) + _number(name, experts) if experts else 0
                    key = _kind(group), cell.factors.nested
                    draft = drafts.setdefault(name, {}).setdefault(key, _Draft())
                    draft.add(cell, start + row * len(group.A), cell.scale if stack.trainable else 1.0)
        self._columns = {
            name: [_Columns(whole[kind], draft, nested) for (kind, nested), draft in kinds.items()]
            for name, kinds in drafts.items()
        }

    @property
    def experts(self) -> list[str]:
        """Whoever has columns here."""
        return list(self._columns)

    def write(self, expert: str, weight: float, rank: int | None) -> None:
        """``weight`` on what speaks at ``rank`` of each of the expert's projections (None: all), and on
        their units; a nested one is louder the fewer columns there are."""
        for columns in self._columns.get(expert, ()):
            columns.write(weight, rank)


_Kind = tuple[torch.device, torch.dtype]


def _kind(group: Group) -> _Kind:
    return group.A.device, group.A.dtype


def _rows(group: Group, experts: Sequence[str]) -> int:
    return max(1, len(group.sites) * len(experts))


def _number(name: str, experts: Sequence[str]) -> int:
    if name not in experts:
        raise StudioError(
            "usage",
            f"The router does not know the expert {name}.",
            "Choose the experts that the mix was trained with.",
        )
    return list(experts).index(name)


@dataclass
class _Draft:
    """An expert's columns, one by one: where each lies, from which rank it speaks, how many its projection
    has, and by what its factors are yet to be scaled."""

    places: list[int] = field(default_factory=list)
    since: list[int] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)
    scales: list[float] = field(default_factory=list)

    def add(self, cell: Cell, start: int, scale: float) -> None:
        rank, units = cell.stop - cell.start, [] if cell.unit is None else [cell.unit]
        self.places += [start + column for column in (*range(cell.start, cell.stop), *units)]
        self.since += [*(cell.factors.since or range(1, rank + 1)), *(1 for _ in units)]
        self.ranks += [rank] * (rank + len(units))
        self.scales += [scale] * rank + [1.0] * len(units)


class _Columns:
    """The same as tensors, with room to work out their levels in float64."""

    def __init__(self, whole: Tensor, draft: _Draft, nested: bool) -> None:
        with torch.inference_mode(False):
            device = whole.device
            self._whole = whole
            self._places = torch.tensor(draft.places, device=device)
            self._since = torch.tensor(draft.since, device=device)
            self._scales = torch.tensor(draft.scales, device=device, dtype=torch.float64)
            self._ranks = torch.tensor(draft.ranks, device=device, dtype=torch.float64) if nested else None
            self._silent = torch.empty_like(self._since, dtype=torch.bool)
            self._exact = torch.empty_like(self._scales)
            self._left = torch.empty_like(self._scales)
            self._rounded = torch.empty_like(self._scales, dtype=whole.dtype)

    def write(self, weight: float, rank: int | None) -> None:
        torch.mul(self._scales, weight, out=self._exact)
        if rank is not None:
            if self._ranks is not None:  # see Factors.cut
                self._exact.mul_(self._ranks)
                torch.clamp(self._ranks, max=rank, out=self._left)
                self._exact.div_(self._left)
            torch.gt(self._since, rank, out=self._silent)
            self._exact.masked_fill_(self._silent, 0.0)
        self._rounded.copy_(self._exact)
        self._whole.index_copy_(0, self._places, self._rounded)

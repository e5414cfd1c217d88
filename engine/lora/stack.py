"""All experts of a group of projections, stacked once: A_cat for the group, B_cat for each of its
projections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from engine.lora.adapter import Adapter, Factors
from engine.lora.landing import linear_shape

__all__ = ["Cell", "Group", "Site", "stack"]


@dataclass(frozen=True)
class Cell:
    """One expert on one projection: its columns ``start:stop`` in the group, its path and scale in its
    file."""

    start: int
    stop: int
    path: str
    scale: float


@dataclass(eq=False)
class Site:
    """One adapted projection. ``B`` [R_site, d_out] holds the experts' B transposed, scale folded in unless
    trained."""

    path: str
    module: nn.Module
    d_out: int
    B: Tensor
    cells: dict[str, Cell]


@dataclass(eq=False)
class Group:
    """Projections that read one input. ``A`` [R, d_in] has the rows of all their experts, site after site.

    ``x`` and ``h`` are the input being read and its gated products, while a forward is between two members.
    """

    index: int
    sites: list[Site]
    A: Tensor
    sizes: list[int]
    alone: bool = field(init=False)
    dtype: torch.dtype = field(init=False)
    x: Tensor | None = field(default=None, repr=False)
    h: Sequence[Tensor] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        self.alone, self.dtype = len(self.sites) == 1, self.A.dtype

    @property
    def modules(self) -> tuple[str, ...]:
        return tuple(site.path for site in self.sites)


def stack(
    paths: Sequence[Sequence[str]],
    places: Mapping[str, nn.Module],
    adapters: Mapping[str, Adapter],
    landed: Mapping[str, Mapping[str, str]],
    dtype: torch.dtype | None,
    trainable: bool,
) -> list[Group]:
    """The groups of ``paths`` that any adapter touches. ``landed[name]`` maps an adapter's paths to the
    base's."""
    there = {name: {place: path for path, place in lands.items()} for name, lands in landed.items()}
    groups: list[Group] = []
    for members in paths:
        touched = [path for path in members if any(path in lands for lands in there.values())]
        if touched:
            groups.append(_group(len(groups), touched, places, adapters, there, dtype, trainable))
    return groups


def _group(
    index: int,
    paths: Sequence[str],
    places: Mapping[str, nn.Module],
    adapters: Mapping[str, Adapter],
    there: Mapping[str, Mapping[str, str]],
    dtype: torch.dtype | None,
    trainable: bool,
) -> Group:
    rows: list[Tensor] = []
    sites: list[Site] = []
    column = 0
    for path in paths:
        weight = places[path].weight
        assert isinstance(weight, Tensor)
        kind = dtype or (torch.float64 if weight.dtype == torch.float64 else torch.float32)
        cells, columns = {}, []
        for name, lands in there.items():
            if path not in lands:
                continue
            factors: Factors = adapters[name].factors[lands[path]]
            cells[name] = Cell(column, column + factors.rank, lands[path], factors.scale)
            column += factors.rank
            rows.append(factors.A.detach().to(weight.device, kind))
            B = factors.B.detach().to(weight.device, kind).t()
            columns.append(B if trainable else B * factors.scale)
        B_cat = torch.cat(columns).contiguous()
        sites.append(Site(path, places[path], linear_shape(places[path])[1], B_cat, cells))
    group = Group(index, sites, torch.cat(rows), [site.B.shape[0] for site in sites])
    if trainable:
        group.A = nn.Parameter(group.A)
        for site in sites:
            site.B = nn.Parameter(site.B)
    return group

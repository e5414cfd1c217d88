"""All experts of a group of projections, stacked once: A_cat for the group, B_cat for each projection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from engine.formats.errors import StudioError
from engine.lora.adapter import Adapter
from engine.lora.landing import linear_shape

__all__ = ["Cell", "Group", "Site", "Stack", "stack"]


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
    trained; its columns begin at ``first`` of the group's."""

    path: str
    module: nn.Module
    d_out: int
    B: Tensor
    cells: dict[str, Cell]
    first: int


@dataclass(eq=False)
class Group:
    """Projections that read one input. ``A`` [R, d_in] has the rows of all their experts, site after site.

    ``product`` [d_in, R + n] is A transposed and beside it the rows of the router seated last, in one
    piece of memory with A. ``x`` and ``h`` are the input being read and its gated products, while a forward
    is between two members.
    """

    index: int
    sites: list[Site]
    A: Tensor
    sizes: list[int] = field(init=False)
    alone: bool = field(init=False)
    dtype: torch.dtype = field(init=False)
    product: Tensor = field(init=False, repr=False)
    x: Tensor | None = field(default=None, repr=False)
    h: Sequence[Tensor] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        self.sizes = [len(site.B) for site in self.sites]
        self.alone, self.dtype = len(self.sites) == 1, self.A.dtype
        self.product = self.A.detach().t()

    @property
    def modules(self) -> tuple[str, ...]:
        return tuple(site.path for site in self.sites)

    def seat(self, rows: Tensor) -> None:
        """Put a router's ``rows`` [n, d_in] beside A, so that one product serves both."""
        rank, width = self.A.shape
        if self.product.shape[1] != rank + len(rows):
            whole = self.A.new_empty(rank + len(rows), width)
            whole[:rank] = self.A
            self.A.data = whole[:rank]
            self.product = whole.t()
        self.product[:, rank:] = rows.t()


class _Voice(Protocol):
    def rows(self) -> Tensor: ...


class Stack:
    """The groups of one bank, and whose rows are seated beside their A."""

    def __init__(self, groups: list[Group], experts: Sequence[str], trainable: bool) -> None:
        self.groups = groups
        self.experts = tuple(experts)
        self.trainable = trainable
        self._seated: tuple[Tensor, ...] | None = None
        self._version = 0

    def seat(self, weights: tuple[Tensor, ...], voices: Sequence[_Voice]) -> None:
        """Seat the rows of a router, one of ``voices`` per group, unless they are there and as they were."""
        version = sum(weight._version for weight in weights)
        if self._seated is weights and self._version == version:
            return
        with torch.inference_mode(False), torch.no_grad():
            for group, voice in zip(self.groups, voices, strict=True):
                group.seat(voice.rows().to(group.A))
        self._seated, self._version = weights, version

    def unseat(self) -> None:
        """Whoever plays next takes the seat anew, also where rows were written behind autograd's back."""
        self._seated = None

    def check(self, expert: str, rank: int | None = None) -> None:
        """StudioError when there is no such expert, or it cannot have such a rank."""
        if expert not in self.experts:
            raise StudioError(
                "usage", f"There is no expert {expert} here.", f"There are: {', '.join(self.experts)}."
            )
        if rank is not None and (type(rank) is not int or rank < 0):
            raise StudioError("usage", f"The rank of {expert} cannot be {rank}.", "Give a rank of 0 or more.")


def stack(
    paths: Sequence[Sequence[str]],
    places: Mapping[str, nn.Module],
    adapters: Mapping[str, Adapter],
    landed: Mapping[str, Mapping[str, str]],
    dtype: torch.dtype | None,
    trainable: bool,
) -> Stack:
    """One group for each of ``paths``. ``landed[name]`` maps the base's paths to those of an adapter."""
    groups = []
    for index, members in enumerate(paths):
        rows: list[Tensor] = []
        sites = [_site(path, places[path], adapters, landed, dtype, trainable, rows) for path in members]
        A = torch.cat(rows)
        groups.append(Group(index, sites, nn.Parameter(A) if trainable else A))
    return Stack(groups, tuple(adapters), trainable)


def _site(
    path: str,
    module: nn.Module,
    adapters: Mapping[str, Adapter],
    landed: Mapping[str, Mapping[str, str]],
    dtype: torch.dtype | None,
    trainable: bool,
    rows: list[Tensor],
) -> Site:
    """One projection with the experts that touch it; their A are added to the group's ``rows``."""
    weight = module.weight
    assert isinstance(weight, Tensor)
    kind = dtype or (torch.float64 if weight.dtype == torch.float64 else torch.float32)
    first = column = sum(len(A) for A in rows)
    cells, columns = {}, []
    for name, lands in landed.items():
        if path in lands:
            factors = adapters[name].factors[lands[path]]
            cells[name] = Cell(column, column + factors.rank, lands[path], factors.scale)
            column += factors.rank
            rows.append(factors.A.detach().to(weight.device, kind))
            B = factors.B.detach().to(weight.device, kind).t()
            columns.append(B if trainable else B * factors.scale)
    B_cat = torch.cat(columns).contiguous()
    return Site(
        path, module, linear_shape(module)[1], nn.Parameter(B_cat) if trainable else B_cat, cells, first
    )

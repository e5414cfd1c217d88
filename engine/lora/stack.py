"""All experts of a group of modules, stacked once: A_cat for the group, B_cat (and C_cat) for each module.

    y = y0 + h B_cat + y0 * (h C_cat),     h = g * t,   t = [A_cat x, 1]

An expert with a bias or a magnitude has one column more, its unit column, where t is 1: its row of B holds
the bias (scaled) and, of a DoRA, -(c - 1) b; its row of C holds c - 1; and c is folded into its B.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from engine.formats.errors import AdapterError, StudioError
from engine.formats.studio_file import check_rank
from engine.lora.adapter import Adapter, Factors
from engine.lora.dora import row_scales
from engine.lora.landing import linear_shape

__all__ = ["Cell", "Group", "Site", "Stack", "formed", "stack"]


@dataclass(frozen=True, eq=False)
class Cell:
    """One expert on one module: its columns ``start:stop`` in the group, its ``unit`` column if it has
    one, its path and scale in its file; of a DoRA its factors and ``c`` [r + 1, d_out] by columns."""

    start: int
    stop: int
    path: str
    scale: float
    factors: Factors
    unit: int | None = None
    c: Tensor | None = None


@dataclass(eq=False)
class Site:
    """One adapted module. ``B`` [R_site, d_out] holds the experts' B transposed, scale folded in unless
    trained, then the rows of its unit columns; its columns begin at ``first`` of the group's. ``C``
    [n, d_out] belongs to its last n columns, the units; None where no expert is a DoRA."""

    path: str
    module: nn.Module
    d_out: int
    B: Tensor
    cells: dict[str, Cell]
    first: int
    C: Tensor | None = None

    @property
    def width(self) -> int:
        """The size of what its router reads: its input, or of an embedding its output."""
        return self.d_out if isinstance(self.module, nn.Embedding) else linear_shape(self.module)[0]


@dataclass(eq=False)
class Group:
    """Modules that read one input. ``A`` [R, d_in] has the rows of all their experts, site after site, and
    zeros for the unit columns, which ``ones`` [R] marks (None: there are none).

    ``product`` [d_in, R + n] is A transposed and beside it the rows of the router seated last, in one
    piece of memory with A. ``x`` and ``h`` are the input being read and its gated products, while a forward
    is between two members.
    """

    index: int
    sites: list[Site]
    A: Tensor
    ones: Tensor | None = None
    sizes: list[int] = field(init=False)
    alone: bool = field(init=False)
    embedding: bool = field(init=False)
    dtype: torch.dtype = field(init=False)
    product: Tensor = field(init=False, repr=False)
    x: Tensor | None = field(default=None, repr=False)
    h: Sequence[tuple[Tensor, Tensor]] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        self.sizes = [len(site.B) for site in self.sites]
        self.alone, self.dtype = len(self.sites) == 1, self.A.dtype
        self.embedding = isinstance(self.sites[0].module, nn.Embedding)
        self.product = self.A.detach().t()
        self._B = tuple(site.B for site in self.sites)

    @property
    def modules(self) -> tuple[str, ...]:
        return tuple(site.path for site in self.sites)

    def with_B(self, h: Tensor) -> Sequence[tuple[Tensor, Tensor]]:
        """``h`` [B*T, R] by module, each with its B."""
        if self.alone:
            return ((h, self.sites[0].B),)
        return tuple(zip(h.split_with_sizes(self.sizes, 1), self._B, strict=True))

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

    def __init__(self, groups: list[Group], adapters: Mapping[str, Adapter], trainable: bool) -> None:
        self.groups = groups
        self.experts = tuple(adapters)
        self._ranks = {name: (adapter.low, adapter.rank) for name, adapter in adapters.items()}
        self.trainable = trainable
        self._seated: tuple[Tensor, ...] | None = None
        self._version = 0

    @property
    def sites(self) -> list[Site]:
        return [site for group in self.groups for site in group.sites]

    def seat(self, weights: tuple[Tensor, ...], voices: Sequence[_Voice]) -> None:
        """Seat the rows of a router, one of ``voices`` per group, unless they are there and as they were.
        An embedding's A is no place to sit: it is read by token."""
        version = sum(weight._version for weight in weights)
        if self._seated is weights and self._version == version:
            return
        with torch.inference_mode(False), torch.no_grad():
            for group, voice in zip(self.groups, voices, strict=True):
                if not group.embedding:
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
        if rank is not None:
            check_rank(expert, rank, *self._ranks[expert])


def stack(
    paths: Sequence[Sequence[str]],
    places: Mapping[str, nn.Module],
    adapters: Mapping[str, Adapter],
    landed: Mapping[str, Mapping[str, str]],
    dtype: torch.dtype | None,
    trainable: bool,
) -> Stack:
    """One group for each of ``paths``. ``landed[name]`` maps the base's paths to those of an adapter.

    AdapterError for what cannot be trained here: biases, magnitudes and embeddings.
    """
    groups = []
    for index, members in enumerate(paths):
        rows: list[Tensor] = []
        sites = []
        for path in members:
            found = {name: lands[path] for name, lands in landed.items() if path in lands}
            experts = {name: (source, adapters[name].factors[source]) for name, source in found.items()}
            if trainable:
                _check_trainable(experts)
            sites.append(_site(path, places[path], experts, dtype, trainable, rows))
        A = torch.cat(rows)
        units = [cell.unit for site in sites for cell in site.cells.values() if cell.unit is not None]
        ones = A.new_zeros(len(A)).index_fill(0, torch.tensor(units, device=A.device), 1) if units else None
        if isinstance(sites[0].module, nn.Embedding):
            A = A.t().contiguous().t()  # a token's numbers lie together
        groups.append(Group(index, sites, nn.Parameter(A) if trainable else A, ones))
    return Stack(groups, adapters, trainable)


_Experts = Mapping[str, tuple[str, Factors]]


def _check_trainable(experts: _Experts) -> None:
    for name, (path, factors) in experts.items():
        if factors.embedding or factors.magnitude is not None or factors.bias is not None:
            raise AdapterError(
                f"{name} cannot be trained further: {path} has more than the two factors of a linear "
                "projection (a bias, a magnitude, or an embedding's).",
                "Use it as it is, or start from a plain LoRA.",
            )


def _site(
    path: str,
    module: nn.Module,
    experts: _Experts,
    dtype: torch.dtype | None,
    trainable: bool,
    rows: list[Tensor],
) -> Site:
    """One module with the ``experts`` that touch it; their A are added to the group's ``rows``."""
    d_in, d_out = linear_shape(module)
    tensor = next(module.parameters())
    kind = dtype or (torch.float64 if tensor.dtype == torch.float64 else torch.float32)
    first = column = sum(map(len, rows))
    unit = first + sum(factors.rank for _, factors in experts.values())
    cells, B, units, C = {}, [], [], []
    for name, (source, factors) in experts.items():
        place = (column, column + factors.rank, source, factors.scale, factors)
        column += factors.rank
        rows.append(factors.A.detach().to(tensor.device, kind))
        if factors.bias is None and factors.magnitude is None:
            B_rows = factors.B.detach().to(tensor.device, kind).t()
            cells[name] = Cell(*place)
            B.append(B_rows if trainable else B_rows * (factors.scale * _loudness(module)))
            continue
        c = None if factors.magnitude is None else row_scales(module, factors)
        cells[name] = cell = Cell(*place, unit, None if c is None else c.float())
        unit += 1
        B_rows, unit_row, C_row = formed(module, cell, None if c is None else c[-1])
        B.append(B_rows.to(kind))
        units.append(unit_row.to(kind))
        C.append(C_row.to(kind))
    if units:
        rows.append(B[0].new_zeros(len(units), d_in))
    stacked = torch.cat([*B, *(row[None] for row in units)]).contiguous()
    dora = torch.stack(C) if any(cell.c is not None for cell in cells.values()) else None
    return Site(path, module, d_out, nn.Parameter(stacked) if trainable else stacked, cells, first, dora)


def formed(module: nn.Module, cell: Cell, c: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """An expert's rows of B [r, d_out], its unit's row of B and its row of C [d_out], under the row scales
    ``c`` [d_out] (None: no DoRA). In float64."""
    device = next(module.parameters()).device
    B = cell.factors.B.detach().to(device, torch.float64).t() * (cell.scale * _loudness(module))
    unit = B.new_zeros(B.shape[1])
    if cell.factors.bias is not None:
        unit = cell.factors.bias.to(unit) * cell.scale
    if c is None:
        return B, unit, torch.zeros_like(unit)
    c = c.to(unit)
    own = getattr(module, "bias", None)
    if own is not None:
        unit = unit - (c - 1) * own.to(unit)
    return B * c, unit, c - 1


def _loudness(module: nn.Module) -> float:
    """What an embedding multiplies its vectors by (Gemma's), so that an expert's share is multiplied too."""
    scale = getattr(module, "embed_scale", 1.0) if isinstance(module, nn.Embedding) else 1.0
    return float(scale)

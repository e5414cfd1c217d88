"""Gates: how loudly each rank column of each expert speaks, and what a router needs to decide it per token.

    y = W x + B_cat ( g * (A_cat x) )
    g[column] = level[expert] * (column < rank[expert]) * router[expert](x)

A ``Gates`` holds numbers for one bank. Making one costs small tensors; playing it is one pointer
(``bank.gates``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding

from engine.formats.errors import StudioError
from engine.lora.levels import Levels
from engine.lora.packed import Packed, pack
from engine.lora.prefix import Prefix
from engine.lora.stack import Group, Site, Stack, formed
from engine.lora.tape import Tape
from engine.lora.voice import Router, Voice

__all__ = ["Gates", "read_table"]


REST = 4
"""Forward passes after which a copy of what is heard has paid for itself."""


class Gates:
    """The gates of one bank: ``weights`` (the faders), ``ranks`` (None or absent: all), and maybe a router.

    Made by ``Bank.new_gates``. Experts without a weight are silent.
    """

    def __init__(
        self,
        stack: Stack,
        weights: Mapping[str, float],
        ranks: Mapping[str, int | None],
        router: Router | None,
    ) -> None:
        self.weights: dict[str, float] = {}
        self.ranks: dict[str, int | None] = {}
        self.router = router
        self.tape: Tape | None = None
        self.silent = True
        """Whether nothing can be heard: the output is the base's own."""
        self._stack = stack
        self._tokens: tuple[int, int] | None = None
        self._seated = False
        self._all = Levels(stack, tuple(router.experts) if router is not None else ())
        self._levels = self._all.groups
        self._doras: dict[str, list[Site]] = {}
        for site in stack.sites:
            for name, cell in site.cells.items():
                if cell.c is not None:
                    self._doras.setdefault(name, []).append(site)
        self._packed: list[Packed | None] | None = None
        self._loose: list[Packed | None] = [None] * len(stack.groups)
        self._resting = 0
        self._forms: dict[Site, tuple[Tensor, Tensor | None]] = {}
        self.routed = router is not None
        self.remembers = router is not None and router.remembers
        self._begin = getattr(router, "begin", None)
        if router is not None:
            stack.unseat()
            self._voices = [router.voice(group.modules) for group in stack.groups]
            self._sizes = [[group.A.shape[0], *self._voices[group.index].sizes] for group in stack.groups]
        for expert in {**dict.fromkeys(self._all.experts), **weights, **ranks}:
            self._write(expert, weights.get(expert, 0.0), ranks.get(expert))

    def set_weight(self, expert: str, weight: float) -> None:
        """Move a fader: in place, heard at the next forward."""
        self._write(expert, weight, self.ranks.get(expert))
        self._unpack()

    def set_rank(self, expert: str, rank: int | None) -> None:
        """Let the first ``rank`` columns of each projection speak (None: all): in place, no allocation."""
        self._write(expert, self.weights.get(expert, 0.0), rank)
        self._unpack()

    def _unpack(self) -> None:
        """Who has moved plays the whole stack, and is packed again after a rest: packing is a copy, and what
        is slid moves again at once."""
        self._packed, self._resting = self._loose, REST

    def _write(self, expert: str, weight: float, rank: int | None) -> None:
        self._stack.check(expert, rank)
        if not (isinstance(weight, Real) and math.isfinite(weight)):
            raise StudioError("usage", f"The weight of {expert} is not a finite number.", "Give another one.")
        weight = float(weight)
        self.weights[expert], self.ranks[expert], self._packed = weight, rank, None
        self.silent = not any(self.weights.values())
        self._all.write(expert, weight, rank)
        for site in self._doras.get(expert, ()):
            self._reform(site, expert, rank)

    def _reform(self, site: Site, expert: str, rank: int | None) -> None:
        """A DoRA cut to ``rank`` has other rows: its magnitude belongs to W + s B_r A_r (see ``dora``)."""
        cell = site.cells[expert]
        assert cell.c is not None and cell.unit is not None and site.C is not None
        count = cell.factors.rank if rank is None else cell.factors.columns(rank)
        if count == cell.factors.rank and site not in self._forms:
            return
        if site not in self._forms:
            self._forms[site] = (site.B.clone(), site.C.clone())
        B, C = self._forms[site]
        assert C is not None
        rows, unit, C_row = formed(site.module, cell, cell.c[count])
        B[cell.start - site.first : cell.stop - site.first] = rows
        B[cell.unit - site.first] = unit
        C[cell.unit - site.first - len(B)] = C_row

    @property
    def cut_doras(self) -> bool:
        """Whether a DoRA plays with less than all of its columns."""
        return bool(self._forms)

    def form(self, site: Site) -> tuple[Tensor, Tensor | None]:
        """B and C of a site at the ranks that are played."""
        return self._forms.get(site) or (site.B, site.C)

    def fader(self, expert: str, output: Tensor) -> float | Tensor:
        """How loud ``expert`` is without any router: what parameters that it replaces follow."""
        return self.weights[expert]

    def begin(self, tokens: tuple[int, int] | None, seat: bool = True) -> None:
        """A forward pass begins, of ``tokens`` (B, T) where they are known. With ``seat`` the router's rows
        ride in the group's own product, where no gradient is wanted."""
        if self.router is None:
            return
        self._tokens = tokens
        if self._begin is not None:
            self._begin()
        if self.tape is not None:
            self.tape.open()
        self._seated = seat
        if seat:
            self._stack.seat(self.router.weights, self._voices)

    def end(self, whole: bool) -> None:
        """The forward pass is over, or has failed half-way."""
        self._seated = False
        if self.tape is not None and whole:
            self.tape.close()

    def columns(self, group: Group, x: Tensor, prefix: Prefix | None) -> Sequence[tuple[Tensor, Tensor]]:
        """(g * (A_cat x), B) for each module of ``group``: [B*T, R_site] and [R_site, d_out]. ``x`` is
        [..., d_in]."""
        index, dtype, size = group.index, group.dtype, x.shape
        flat = x.reshape(-1, size[-1])
        if flat.dtype != dtype:
            flat = flat.to(dtype)
        if self.router is None:
            if self._resting and index == 0:
                self._resting -= 1
                if not self._resting:
                    self._packed = None
            if self._packed is None:
                self._packed = self._pack()
            packed = self._packed[index]
            if packed is not None:
                return packed(flat)
            t = torch.mm(flat, group.A.t())
            h = (t if group.ones is None else t + group.ones) * self._levels[index]
        else:
            if not self._seated:  # outside the model's own forward pass
                self._stack.seat(self.router.weights, self._voices)
            if torch.is_grad_enabled():
                rows = self._voices[index].rows().to(dtype)
                both: Tensor = _Product.apply(flat, group.A, rows, group.product)  # type: ignore[no-untyped-call]
            else:
                both = torch.mm(flat, group.product)
            t, *logits = both.split_with_sizes(self._sizes[index], 1)
            if group.ones is not None:
                t = t + group.ones
            shape = (size[0], size[1]) if len(size) == 3 else self._shape(len(flat))
            h = t * self.spread(group, logits, prefix, shape)
        return group.with_B(h)

    def looked_up(self, group: Group, ids: Tensor, vectors: Tensor, prefix: Prefix | None) -> Tensor:
        """g * A_cat[:, ids] of an embedding, [B*T, R]. A router reads the base's own ``vectors``."""
        t = read_table(group, ids)
        if self.router is None:
            return t * self._levels[group.index]
        voice = self._voices[group.index]
        flat = vectors.reshape(len(t), -1).to(group.dtype)
        logits = torch.mm(flat, voice.rows().to(group.A).t()).split_with_sizes(voice.sizes, 1)
        shape = (ids.shape[0], ids.shape[1]) if ids.dim() == 2 else self._shape(len(t))
        return t * self.spread(group, logits, prefix, shape)

    def _pack(self) -> list[Packed | None]:
        """The groups without what is silent; what is trained changes too often."""
        if self._stack.trainable:
            return self._loose
        return [pack(*pair) for pair in zip(self._stack.groups, self._levels, strict=True)]

    def levels(self, group: Group) -> Tensor:
        """[1, R], how loud each column is; under a router [modules * experts, R], to spread its weights."""
        return self._levels[group.index]

    def voice(self, group: Group) -> Voice:
        """The router's say on ``group``."""
        return self._voices[group.index]

    def spread(
        self,
        group: Group,
        logits: Sequence[Tensor],
        prefix: Prefix | None,
        shape: tuple[int, int],
        rows: list[int] | None = None,
    ) -> Tensor:
        """The router's weights, spread over the columns of ``group``: [B*T, R]. The tape records all rows of
        the batch, or ``rows``."""
        if group.dtype != torch.float32:
            logits = [part.float() for part in logits]
        weights = self._voices[group.index](logits, prefix, shape)
        if self.tape is not None:
            heard = weights.view(*shape, len(group.sites), -1)
            self.tape.note(group.modules, heard if rows is None else heard[rows])
        if group.dtype != torch.float32:
            weights = weights.to(group.dtype)
        return torch.mm(weights, self._levels[group.index])

    def _shape(self, count: int) -> tuple[int, int]:
        """(B, T) of an input that comes flat: some models fold rows and tokens into one dimension."""
        tokens = self._tokens
        return tokens if tokens is not None and tokens[0] * tokens[1] == count else (1, count)


class _Product(torch.autograd.Function):
    """x [A; V]^T in one product, and one for the gradient of x. ``whole`` [d_in, R + n] holds A and the rows
    V as they are; a gradient is worked out only for those of them that learn."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, A: Tensor, rows: Tensor, whole: Tensor) -> Tensor:
        ctx.save_for_backward(x, whole)
        ctx.rank = len(A)
        return torch.mm(x, whole)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        x, whole = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        return (
            torch.mm(slope, whole.t()) if wanted[0] else None,
            torch.mm(slope[:, : ctx.rank].t(), x) if wanted[1] else None,
            torch.mm(slope[:, ctx.rank :].t(), x) if wanted[2] else None,
            None,
        )


def read_table(group: Group, ids: Tensor) -> Tensor:
    """[A_cat[:, ids], 1] of an embedding, [count of ids, R]."""
    t = embedding(ids.reshape(-1), group.A.t())
    return t if group.ones is None else t + group.ones

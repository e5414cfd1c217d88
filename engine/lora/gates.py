"""Gates: how loudly each rank column of each expert speaks, and what a router needs to decide it per token.

    y = W x + B_cat ( g * (A_cat x) ),     g[column] = level[expert] * (column < rank[expert]) *
    router[expert](x)

A ``Gates`` holds numbers for one bank. Making one costs small tensors; playing it is one pointer
(``bank.gates``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Protocol

import torch
from torch import Tensor

from engine.formats.errors import StudioError
from engine.lora.prefix import Prefix
from engine.lora.stack import Group, Stack

__all__ = ["Gates", "Router", "Tape", "Voice"]


class Voice(Protocol):
    """A router's say on one group: extra rows for the group's product, and what they mean."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many rows in each of the parts that the products come in."""
        ...

    def rows(self) -> Tensor:
        """[sum of sizes, d_in], stacked under A_cat so that the logits ride in the same product."""
        ...

    def __call__(self, logits: Sequence[Tensor], prefix: Prefix | None, shape: tuple[int, int]) -> Tensor:
        """From the extra products, one [B*T, size] for each of ``sizes``, one weight per (module, expert):
        [B*T, modules * experts], float32.

        ``prefix`` is what the router remembers of the text (None if it does not), ``shape`` is (B, T).
        """
        ...


class Router(Protocol):
    """Anything that weighs experts by token. ``experts`` names its columns; names no bank has weigh
    nothing."""

    @property
    def experts(self) -> Sequence[str]: ...
    @property
    def remembers(self) -> bool: ...

    def voice(self, modules: Sequence[str]) -> Voice:
        """The say on a group of projections that read one input."""
        ...

    @property
    def weights(self) -> tuple[Tensor, ...]:
        """What the rows are made of; always the same tuple."""
        ...


class Tape:
    """A recording of routing: after each forward, ``gates[-1]`` is [B, T, modules, experts]."""

    def __init__(self) -> None:
        self.modules: list[str] = []
        self.gates: list[Tensor] = []
        self._parts: list[tuple[Sequence[str], Tensor]] = []

    def open(self) -> None:
        """A forward begins; what one that failed has left is forgotten."""
        self._parts = []

    def note(self, modules: Sequence[str], weights: Tensor) -> None:
        self._parts.append((modules, weights))

    def close(self) -> None:
        """The forward is over: join what the groups have said."""
        if self._parts:
            self.modules = [module for modules, _ in self._parts for module in modules]
            self.gates.append(torch.cat([weights for _, weights in self._parts], dim=2))
            self._parts = []


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
        # (levels of an expert's columns on one site, scale): what a fader or a rank writes to
        self._cells: dict[str, list[tuple[Tensor, float]]] = {}
        self._levels = [self._new_levels(group) for group in stack.groups]
        if router is not None:
            stack.unseat()
            self._voices = [router.voice(group.modules) for group in stack.groups]
            self._sizes = [[group.A.shape[0], *self._voices[group.index].sizes] for group in stack.groups]
        for expert in {**dict.fromkeys(self._cells), **weights, **ranks}:
            self._write(expert, weights.get(expert, 0.0), ranks.get(expert))

    def set_weight(self, expert: str, weight: float) -> None:
        """Move a fader: in place, heard at the next forward."""
        self._write(expert, weight, self.ranks.get(expert))

    def set_rank(self, expert: str, rank: int | None) -> None:
        """Let the first ``rank`` columns of each projection speak (None: all): in place, no allocation."""
        self._write(expert, self.weights.get(expert, 0.0), rank)

    def _new_levels(self, group: Group) -> Tensor:
        """[1, R] without a router; with one [modules * experts, R], which spreads its weights over the
        columns."""
        experts = tuple(self.router.experts) if self.router is not None else ()
        with torch.inference_mode(False):
            levels = group.A.new_zeros(max(1, len(group.sites) * len(experts)), group.A.shape[0])
        for place, site in enumerate(group.sites):
            for name, cell in site.cells.items():
                if self.router is not None and name not in experts:
                    raise StudioError(
                        "usage",
                        f"The router does not know the expert {name}.",
                        "Choose the experts that the mix was trained with.",
                    )
                row = place * len(experts) + experts.index(name) if experts else 0
                view = levels[row, cell.start : cell.stop]
                self._cells.setdefault(name, []).append((view, cell.scale if self._stack.trainable else 1.0))
        return levels

    def _write(self, expert: str, weight: float, rank: int | None) -> None:
        self._stack.check(expert, rank)
        if not (isinstance(weight, Real) and math.isfinite(weight)):
            raise StudioError("usage", f"The weight of {expert} is not a finite number.", "Give another one.")
        self.weights[expert], self.ranks[expert] = float(weight), rank
        self.silent = not any(w and self.ranks[name] != 0 for name, w in self.weights.items())
        for levels, scale in self._cells[expert]:
            cut = levels.shape[0] if rank is None else min(rank, levels.shape[0])
            levels[:cut] = weight * scale
            levels[cut:] = 0.0

    def begin(self, tokens: tuple[int, int] | None) -> None:
        """A forward pass begins, of ``tokens`` (B, T) where they are known."""
        assert self.router is not None
        self._tokens = tokens
        if self.tape is not None:
            self.tape.open()
        self._seated = not torch.is_grad_enabled()
        if self._seated:
            self._stack.seat(self.router.weights, self._voices)

    def end(self, whole: bool) -> None:
        """The forward pass is over, or has failed half-way."""
        self._seated = False
        if self.tape is not None and whole:
            self.tape.close()

    def columns(self, group: Group, x: Tensor, prefix: Prefix | None) -> Sequence[Tensor]:
        """g * (A_cat x) for each projection of ``group``: tensors [B*T, R_site]. ``x`` is [..., d_in]."""
        index, dtype, size = group.index, group.dtype, x.shape
        flat = x.reshape(-1, size[-1])
        if flat.dtype != dtype:
            flat = flat.to(dtype)
        if self.router is None:
            h = torch.mm(flat, group.A.t()) * self._levels[index]
        else:
            voice = self._voices[index]
            if self._seated:
                parts = torch.mm(flat, group.product).split_with_sizes(self._sizes[index], 1)
                t, logits = parts[0], parts[1:]
            else:  # apart, so that no gradient is worked out for frozen rows
                t = torch.mm(flat, group.A.t())
                logits = torch.mm(flat, voice.rows().to(group.A).t()).split_with_sizes(voice.sizes, 1)
            if dtype != torch.float32:
                logits = tuple(part.float() for part in logits)
            shape = (size[0], size[1]) if len(size) == 3 else self._shape(len(flat))
            weights = voice(logits, prefix, shape)
            if self.tape is not None:
                self.tape.note(group.modules, weights.view(*shape, len(group.sites), -1))
            if dtype != torch.float32:
                weights = weights.to(dtype)
            h = t * torch.mm(weights, self._levels[index])
        return (h,) if group.alone else h.split_with_sizes(group.sizes, 1)

    def _shape(self, count: int) -> tuple[int, int]:
        """(B, T) of an input that comes flat: some models fold rows and tokens into one dimension."""
        tokens = self._tokens
        return tokens if tokens is not None and tokens[0] * tokens[1] == count else (1, count)

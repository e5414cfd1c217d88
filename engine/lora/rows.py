"""Rows of one batch under different gates: A(x) is computed once, and each row is played by its own."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor

from engine.formats.errors import StudioError
from engine.lora.gates import Gates, read_table
from engine.lora.prefix import Prefix
from engine.lora.stack import Group, Site, Stack

__all__ = ["Rows"]


class Rows:
    """Row i of a batch is played by ``gates[i]``; None is silence. Made by ``Bank.new_rows``; assigned to
    ``bank.gates`` in their place. The tape of each gates records its own rows.

    A router hears the whole batch and is then heard in its own rows, so that what it remembers follows every
    row through the cache.
    """

    def __init__(self, stack: Stack, gates: Sequence[Gates | None]) -> None:
        if not gates:
            raise StudioError("usage", "A batch needs at least one row.", "Give gates for each row.")
        if any(one is not None and one.cut_doras for one in gates):
            raise StudioError(
                "usage",
                "A DoRA cannot play at a part of its rank in one row of a batch.",
                "Let it play whole, or ask for this answer alone.",
            )
        self.gates = tuple(gates)
        self._stack = stack
        self._places: dict[Gates, list[int]] = {}
        for row, one in enumerate(gates):
            if one is not None:
                self._places.setdefault(one, []).append(row)
        order = {one: place for place, one in enumerate([None, *self._places])}
        self._which = torch.tensor([order[one] for one in gates])
        self._shape = (len(gates), 1)

    @property
    def silent(self) -> bool:
        return all(gates.silent for gates in self._places)

    routed = True
    """Told of every forward pass: the batch's shape is needed."""

    @property
    def remembers(self) -> bool:
        return any(gates.remembers for gates in self._places)

    @property
    def experts(self) -> tuple[str, ...]:
        return self._stack.experts

    def begin(self, tokens: tuple[int, int] | None) -> None:
        """A forward pass begins, of ``tokens`` (B, T). StudioError when B is not the number of rows."""
        if tokens is not None:
            self._shape = self._checked(tokens)
        for gates in self._places:
            gates.begin(tokens, seat=False)

    def end(self, whole: bool) -> None:
        """The forward pass is over, or has failed half-way."""
        for gates in self._places:
            gates.end(whole)

    def set_rank(self, expert: str, rank: int | None) -> None:
        """The same cut in every row."""
        for gates in self._places:
            gates.set_rank(expert, rank)

    def form(self, site: Site) -> tuple[Tensor, Tensor | None]:
        """B and C of a site, the same for all rows."""
        return site.B, site.C

    def fader(self, expert: str, output: Tensor) -> float | Tensor:
        """How loud ``expert`` is in each row, to be multiplied with ``output`` [B, ...] or [B*T, ...]."""
        weights = output.new_zeros(len(self.gates))
        for row, gates in enumerate(self.gates):
            if gates is not None:
                weights[row] = gates.fader(expert, output)
        if len(output) == self._shape[0] * self._shape[1] != len(weights):
            weights = weights.repeat_interleave(self._shape[1])
        return weights.view(-1, *[1] * (output.dim() - 1))

    def columns(self, group: Group, x: Tensor, prefix: Prefix | None) -> Sequence[tuple[Tensor, Tensor]]:
        """As of ``Gates``, each row gated by its own."""
        flat = x.reshape(-1, x.shape[-1])
        if flat.dtype != group.dtype:
            flat = flat.to(group.dtype)
        t = torch.mm(flat, group.A.t())
        if group.ones is not None:
            t = t + group.ones
        shape = self._checked((x.shape[0], x.shape[1])) if x.dim() == 3 else self._folded(len(flat))
        return group.with_B(self._gated(group, t, lambda: flat, prefix, shape))

    def looked_up(self, group: Group, ids: Tensor, vectors: Tensor, prefix: Prefix | None) -> Tensor:
        """As of ``Gates``, each row gated by its own. Positions come in one row for all: it is repeated."""
        if ids.dim() == 2 and len(ids) == 1 < len(self.gates):
            ids, vectors = (part.expand(len(self.gates), *part.shape[1:]) for part in (ids, vectors))
        t = read_table(group, ids)
        shape = self._checked((ids.shape[0], ids.shape[1])) if ids.dim() == 2 else self._folded(len(t))
        return self._gated(group, t, lambda: vectors.reshape(len(t), -1).to(group.dtype), prefix, shape)

    def _gated(
        self,
        group: Group,
        t: Tensor,
        flat: Callable[[], Tensor],
        prefix: Prefix | None,
        shape: tuple[int, int],
    ) -> Tensor:
        rows, tokens = shape
        if not any(gates.router for gates in self._places):  # each row is as loud at every token
            levels = torch.cat([t.new_zeros(1, t.shape[1]), *(gates.levels(group) for gates in self._places)])
            if self._which.device != t.device:
                self._which = self._which.to(t.device)
            return (t.view(rows, tokens, -1) * levels[self._which].unsqueeze(1)).view(len(t), -1)
        spread = t.new_zeros(rows, tokens, t.shape[1])
        prefix = None if prefix is None else _Once(prefix)
        products: dict[int, Sequence[Tensor]] = {}
        for gates, places in self._places.items():
            levels = gates.levels(group)
            if gates.router is not None:
                voice, key = gates.voice(group), id(gates.router.weights)
                if key not in products:  # one router heard in several ways: its logits once
                    product = torch.mm(flat(), voice.rows().to(t).t())
                    products[key] = product.split_with_sizes(voice.sizes, 1)
                levels = gates.spread(group, products[key], prefix, shape, places).view(rows, tokens, -1)
                levels = levels[places]
            spread[places] = levels
        return t * spread.view(len(t), -1)

    def _folded(self, count: int) -> tuple[int, int]:
        rows = len(self.gates)
        if count % rows:
            raise self._unfit(count)
        return rows, count // rows

    def _checked(self, shape: tuple[int, int]) -> tuple[int, int]:
        if shape[0] != len(self.gates):
            raise self._unfit(shape[0])
        return shape

    def _unfit(self, count: int) -> StudioError:
        return StudioError(
            "usage",
            f"There are gates for {len(self.gates)} rows, but the batch has {count}.",
            "Give one for each row; a part of the model that reads all rows as one cannot be split.",
        )


class _Once(Prefix):
    """What is remembered for one call of a group, worked out once however many of a router's ways are
    heard."""

    def __init__(self, prefix: Prefix) -> None:
        self._prefix = prefix
        self._heard: dict[Hashable, Tensor] = {}

    def plus_mean(self, key: Hashable, local: Tensor, carried: Tensor, shape: tuple[int, int]) -> Tensor:
        if key not in self._heard:
            self._heard[key] = self._prefix.plus_mean(key, local, carried, shape)
        return self._heard[key]

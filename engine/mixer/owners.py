"""The gates of joint training's hard stage, as a router: each row of a batch belongs to one expert."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from engine.lora.prefix import Prefix

__all__ = ["Owners"]


class Owners:
    """A router for ``Bank.new_gates``: row i of a batch is read by expert number ``rows[i]`` alone, in every
    layer. Arguments as a Router's."""

    remembers = False
    weights: tuple[Tensor, ...] = ()

    def __init__(self, layout: Mapping[str, tuple[int, Sequence[str]]], experts: Sequence[str]) -> None:
        self.experts = tuple(experts)
        self.rows = torch.zeros(0, dtype=torch.int64)
        self._layout = layout

    def voice(self, modules: Sequence[str]) -> _Voice:
        return _Voice(self, len(modules), self._layout[modules[0]][0])


class _Voice:
    """Their say on one group of projections; it needs no product to know it."""

    sizes: tuple[int, ...] = ()

    def __init__(self, owners: Owners, modules: int, width: int) -> None:
        self._owners, self._modules, self._rows = owners, modules, torch.zeros(0, width)

    def rows(self) -> Tensor:
        """None: [0, d_in]."""
        return self._rows

    def __call__(self, logits: Sequence[Tensor], prefix: Prefix | None, shape: tuple[int, int]) -> Tensor:
        whole = functional.one_hot(self._owners.rows, len(self._owners.experts)).float()
        return whole.repeat_interleave(shape[1], 0).repeat(1, self._modules)

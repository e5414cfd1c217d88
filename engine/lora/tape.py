"""A recording of routing, for losses and heat maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["Tape"]


class Tape:
    """After each forward ``gates[-1]`` is [B, T, modules, experts], in the order of ``modules``.

    A forward that reads two texts of different lengths (encoder and decoder) leaves one entry for each, in
    order of call; ``names`` are the modules of each entry of the newest forward.
    """

    def __init__(self) -> None:
        self.gates: list[Tensor] = []
        self.names: list[list[str]] = []
        self._parts: dict[tuple[int, int], list[tuple[Sequence[str], Tensor]]] = {}

    @property
    def modules(self) -> list[str]:
        """The modules of the newest entry."""
        return self.names[-1] if self.names else []

    def open(self) -> None:
        """A forward begins; what one that failed has left is forgotten."""
        self._parts = {}

    def note(self, modules: Sequence[str], weights: Tensor) -> None:
        """What the router said of ``modules``: [B, T, modules, experts]."""
        self._parts.setdefault((weights.shape[0], weights.shape[1]), []).append((modules, weights))

    def close(self) -> None:
        """The forward is over: join what the groups have said."""
        if self._parts:
            parts, self._parts = list(self._parts.values()), {}
            self.names = [[module for modules, _ in part for module in modules] for part in parts]
            self.gates += [torch.cat([weights for _, weights in part], dim=2) for part in parts]

"""The seam between bank and router: what anything must bring that weighs experts by token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from engine.lora.prefix import Prefix

__all__ = ["Router", "Voice"]


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
    nothing. One that has a ``begin()`` is told when a forward pass begins."""

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

"""From an encoder's vectors to a language model's: several in time made one, then projected.

stack: K vectors side by side, what remains is dropped, a projector for each K
pool:  the mean of K vectors, one projector for every K
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from engine.formats.errors import StudioError

__all__ = ["Bridge", "Compression", "compress"]

Compression = Literal["stack", "pool"]
SHARED = "shared"


def compress(x: Tensor, rate: int, compression: Compression) -> Tensor:
    """[T, d] to [T // rate, rate d] (stack) or [T // rate, d] (pool). What is shorter than one whole group is
    filled up with its last vector, so that even the shortest clip says something."""
    if len(x) < rate:
        x = torch.cat([x, x[-1:].expand(rate - len(x), -1)])
    groups = x[: len(x) // rate * rate].reshape(-1, rate, x.shape[1])
    return groups.mean(1) if compression == "pool" else groups.flatten(1)


class Bridge(nn.Module):
    """Vectors [T, width] as [T // rate, out] at any of ``rates`` (Linear, ReLU, Linear, maybe LayerNorm).

    An untrained rate destroys what is understood, so it is refused.
    """

    def __init__(
        self,
        width: int,
        out: int,
        rates: Sequence[int],
        compression: Compression = "stack",
        hidden: int = 2048,
        norm: bool = False,
    ) -> None:
        super().__init__()
        self.rates = tuple(rates)
        self.compression = compression
        sizes = {SHARED: width} if compression == "pool" else {str(rate): width * rate for rate in self.rates}
        self.projectors = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Linear(size, hidden),
                    nn.ReLU(),
                    nn.Linear(hidden, out),
                    *([nn.LayerNorm(out)] if norm else []),
                )
                for name, size in sizes.items()
            }
        )

    def forward(self, x: Tensor, rate: int) -> Tensor:
        if rate not in self.rates:
            raise StudioError(
                "usage",
                f"This model was not trained to put {rate} vectors into one.",
                f"Choose one of {', '.join(map(str, self.rates))}.",
            )
        projector = self.projectors[SHARED if self.compression == "pool" else str(rate)]
        projected: Tensor = projector(compress(x, rate, self.compression))
        return projected

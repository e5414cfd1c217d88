"""Which rank a step of training is made at: drawn anew for each step, the same again for the same step."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

__all__ = ["RankDraw"]

GEOMETRIC = 0.15
"""p of the paper's geometric distribution."""


@dataclass(frozen=True)
class RankDraw:
    """b ~ P on ``low`` ... ``high``: uniform, or geometric (P(b) ~ (1 - p)^(b - low), p = 0.15, cut off at
    ``high``), which prefers low ranks.

    A draw depends on nothing but ``seed`` and the step, so a run that is resumed, or that gathers several
    batches for a step, sees the same ranks.
    """

    low: int
    high: int
    seed: int = 0
    distribution: Literal["uniform", "geometric"] = "uniform"

    def weights(self) -> list[float]:
        """P(low) ... P(high); they sum to 1."""
        count = self.high - self.low + 1
        keep = 1 - GEOMETRIC if self.distribution == "geometric" else 1.0
        parts = [keep**i for i in range(count)]
        return [part / sum(parts) for part in parts]

    def at(self, step: int) -> int:
        """The rank of step ``step`` (0 is the first)."""
        chance = random.Random(f"rank {self.seed} {step}")
        return chance.choices(range(self.low, self.high + 1), self.weights())[0]

"""Training one adapter at every rank: each step draws a rank b and trains what speaks at it.

    h = W x + (alpha / b) B[:, :b] (A[:b] x),    b drawn once for each step

"full": rows 1 ... b of A and columns of B learn; "frozen": row and column b alone, the ones before it take
part as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from engine.dylora.draw import RankDraw
from engine.formats.dataset import Row
from engine.lora import Adapter
from engine.training import LoraTask, Loss

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["DyloraTask"]


class DyloraTask(LoraTask):
    """A Task: a fresh adapter learns ``rows`` at ranks ``low`` ... ``rank``, one of them in each step.

    ``draw`` is the distribution of ranks (see ``RankDraw``), ``mode`` what learns in a step: "full" (the
    paper's better one) or "frozen". What does not learn is left bit for bit: neither momentum nor decay
    reaches it. The metrics of a step have its ``rank``, and its loss once more as "loss at B". Everything
    else is LoraTask's.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        rows: Sequence[Row],
        *,
        rank: int,
        low: int = 1,
        draw: Literal["uniform", "geometric"] = "uniform",
        mode: Literal["full", "frozen"] = "full",
        alpha: float | None = None,
        targets: Sequence[str] = (),
        batch_size: int = 32,
        max_length: int = 256,
        seed: int = 0,
        name: str = "new",
        base: str = "",
    ) -> None:
        self.draw = RankDraw(low, rank, seed, draw)
        super().__init__(
            model,
            tokenizer,
            rows,
            rank=rank,
            alpha=alpha,
            targets=targets,
            batch_size=batch_size,
            max_length=max_length,
            seed=seed,
            name=name,
            base=base,
        )
        self.mode = mode
        self.rank = rank
        self.at_step(0)

    def prepared(self, adapter: Adapter) -> Adapter:
        """The same factors, nested: cut to b columns their scale is alpha / b."""
        factors = {path: replace(item, nested=True) for path, item in adapter.factors.items()}
        return replace(adapter, factors=factors, kind="dylora", low=self.draw.low)

    def at_step(self, step: int) -> None:
        """Draw the rank of this step; it holds for all of its batches."""
        self.now = self.draw.at(step)
        self.gates.set_rank(self.name, self.now)

    def learning(self) -> Mapping[str, Tensor]:
        """The rows of each stacked factor that may move: of every projection's ``rank`` the first b, or the
        b-th alone; at the lowest rank, which has none trained before it, always the first b."""
        first = 0 if self.mode == "full" or self.now == self.draw.low else self.now - 1
        learning = {}
        for name, parameter in self.parameters().items():
            column = torch.arange(len(parameter), device=parameter.device) % self.rank
            learning[name] = (column >= first) & (column < self.now)
        return learning

    def loss(self, numbers: list[int]) -> Loss:
        loss = super().loss(numbers)
        at: dict[str, Tensor | float] = {"rank": float(self.now), f"loss at {self.now}": loss.value.detach()}
        return replace(loss, metrics={**loss.metrics, **at})

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the adapter as a PEFT folder that says how its scale changes with its rank."""
        return super().save(folder) | {"ranks": [self.draw.low, self.rank], "mode": self.mode}

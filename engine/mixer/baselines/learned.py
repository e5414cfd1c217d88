"""What a router has to beat: trained static weights, and one LoRA as large as all experts together.

Each learns from the same rows through the same loop; the second is a LoraTask of ``matched_size``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from engine.lora import Bank
from engine.lora.landing import land
from engine.lora.prefix import Prefix
from engine.training import Loss
from engine.training.text import Example, collate, completion_loss, shuffled

__all__ = ["LearnedWeights", "RowsTask", "matched_size"]


class LearnedWeights(nn.Module):
    """One trained number per expert and projection, the same for every token (CAT of LoRA Soups, arXiv
    2410.13025): y = W x + sum_e w_e s_e B_e A_e x.

    A router that reads nothing, for ``Bank.new_gates(..., router=weights)``; ``layout`` is ``Bank.layout()``.
    The numbers are free, neither softmax nor bounds, and begin at 1 / experts.
    """

    remembers = False

    def __init__(self, layout: Mapping[str, tuple[int, Sequence[str]]], experts: Sequence[str]) -> None:
        super().__init__()
        self.experts = tuple(experts)
        self.paths = tuple(layout)
        self.widths = {path: d_in for path, (d_in, _) in layout.items()}
        with torch.inference_mode(False):
            start = torch.full((len(self.experts),), 1 / len(self.experts))
            self.V = nn.ParameterList([nn.Parameter(start.clone()) for _ in self.paths])
        self.weights = tuple(self.V)

    def named(self) -> dict[str, Tensor]:
        """The trained numbers by projection, [experts] each."""
        return dict(zip(self.paths, self.weights, strict=True))

    def voice(self, modules: Sequence[str]) -> _Constant:
        """The say on a group of projections that read one input."""
        return _Constant([self.named()[module] for module in modules], self.widths[modules[0]])


class _Constant:
    """Weights that depend on nothing: no rows, no logits."""

    sizes = (0,)

    def __init__(self, weights: Sequence[Tensor], width: int) -> None:
        self._weights = weights
        self._width = width

    def rows(self) -> Tensor:
        return self._weights[0].new_empty(0, self._width)

    def __call__(self, logits: Sequence[Tensor], prefix: Prefix | None, shape: tuple[int, int]) -> Tensor:
        return torch.cat(list(self._weights)).expand(len(logits[0]), -1)


class RowsTask:
    """A Task: ``parameters`` learn the completions of ``examples`` through ``forward``.

    ``forward`` turns ids [rows, length] into logits [rows, length, vocabulary].
    """

    def __init__(
        self,
        forward: Callable[[Tensor], Tensor],
        parameters: Mapping[str, Tensor],
        examples: Sequence[Example],
        *,
        batch_size: int = 32,
    ) -> None:
        self._forward = forward
        self._parameters = dict(parameters)
        self._examples = examples
        self._batch_size = batch_size
        self._device = next(iter(self._parameters.values())).device

    def parameters(self) -> dict[str, Tensor]:
        return self._parameters

    def batches(self, order: torch.Generator) -> list[list[int]]:
        return shuffled(len(self._examples), self._batch_size, order)

    def loss(self, numbers: list[int]) -> Loss:
        batch = collate([self._examples[number] for number in numbers], self._device)
        return Loss(completion_loss(self._forward(batch.ids)[batch.learned], batch), batch.read)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the trained tensors alone, as ``baseline.safetensors``."""
        folder.mkdir(parents=True)
        save_file({name: each.detach().cpu() for name, each in self._parameters.items()}, folder / FILE)
        return {"parameters": sum(each.numel() for each in self._parameters.values())}


FILE = "baseline.safetensors"


def matched_size(bank: Bank) -> tuple[int, float]:
    """Rank and alpha of one LoRA as large as the experts together: theirs added up, on the projection where
    the sum of ranks is largest."""
    totals: dict[str, tuple[int, float]] = {}
    for expert in bank.experts:
        adapter = bank.adapters[expert]
        for place, path in land(expert, adapter, bank.model).items():
            factors, (rank, alpha) = adapter.factors[path], totals.get(place, (0, 0.0))
            totals[place] = rank + factors.rank, alpha + factors.scale * factors.rank
    return max(totals.values())

"""Training a router over frozen experts: task loss plus the Specialization Balance Loss (arXiv
2507.00029)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from engine.formats.dataset import Row
from engine.formats.files import atomic_folder
from engine.lora import Adapter, Tape, attach
from engine.messages import RouterInput
from engine.mixer.losses import specialization_balance_loss
from engine.mixer.mix_file import save_mix
from engine.mixer.routed import routed, usage
from engine.mixer.router import Router
from engine.training import Loss
from engine.training.text import Batch, collate, completion_loss, encode, shuffled

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["RouterTask"]

USAGE_BATCHES = 8
"""Batches of the data that ``save`` reads once more to say how much each expert is used."""


class RouterTask:
    """A Task: a router learns which expert shall speak at each token and projection; the rest is frozen.

    At most ``max_examples`` of ``rows`` are used, drawn with ``seed``. Gates are soft. ``balance_weight``
    and the signed ``entropy_weight`` are those of the Specialization Balance Loss, over every real token.
    The bank stays on the model, silent, until ``close``. Raises AdapterError when an expert does not fit,
    DataError for a row of more than ``max_length`` tokens.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        rows: Sequence[Row],
        experts: Mapping[str, Adapter],
        *,
        router_input: RouterInput = "context",
        null_expert: bool = True,
        temperature: float = 1.0,
        balance_weight: float = 0.01,
        entropy_weight: float = 0.0,
        max_examples: int = 2000,
        batch_size: int = 32,
        max_length: int = 256,
        seed: int = 0,
        name: str = "mix",
        base: str = "",
    ) -> None:
        model.requires_grad_(False).eval()
        self.model = model
        self.name = name
        self.base = base
        self.batch_size = batch_size
        self.balance_weight = balance_weight
        self.entropy_weight = entropy_weight
        chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:max_examples]
        self.examples = encode(tokenizer, [rows[number] for number in chosen.tolist()], max_length)
        self.bank = attach(model, experts)
        self.router = Router(self.bank.layout(), tuple(experts), router_input, null_expert, temperature)
        self.router.to(model.device)
        self.gates = self.bank.new_gates(dict.fromkeys(experts, 1.0), router=self.router)
        self.gates.tape = Tape()

    def parameters(self) -> dict[str, Tensor]:
        return dict(zip(self.router.paths, self.router.V, strict=True))

    def batches(self, order: torch.Generator) -> list[list[int]]:
        return shuffled(len(self.examples), self.batch_size, order)

    def loss(self, numbers: list[int]) -> Loss:
        """Metrics: the task's own loss, the routing's entropy in nats, ``load.EXPERT`` (mean weight)."""
        batch = self._batch(numbers)
        logits, seen = routed(self.model, self.bank, self.gates, batch)
        task_loss = completion_loss(logits, batch)
        value = task_loss + specialization_balance_loss(seen, self.balance_weight, self.entropy_weight)
        load = dict(zip(self.router.experts, seen.load.tolist(), strict=True))
        metrics = {f"load.{name}": share for name, share in load.items()}
        return Loss(
            value, batch.read, {"task_loss": task_loss.item(), "entropy": seen.entropy.item()} | metrics
        )

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the mix as a folder, its experts inside. ``usage`` is each expert's share of the weights."""
        usage = self.usage()
        with atomic_folder(folder, doing="saving the mix") as work:
            save_mix(work, self.router, self.bank, name=self.name, base=self.base, usage=usage)
        return {"usage": usage, "router_parameters": self.router.size}

    def usage(self) -> dict[str, float]:
        """Mean weight of each expert over the tokens of the first batches of the data."""
        count = min(len(self.examples), USAGE_BATCHES * self.batch_size)
        numbers = [
            range(start, min(count, start + self.batch_size)) for start in range(0, count, self.batch_size)
        ]
        return usage(self.model, self.bank, self.gates, map(self._batch, numbers))

    def close(self) -> None:
        """Take the bank off the model."""
        self.bank.detach()

    def _batch(self, numbers: Sequence[int]) -> Batch:
        return collate([self.examples[number] for number in numbers], self.model.device)

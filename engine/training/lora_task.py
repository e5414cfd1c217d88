"""Training one new LoRA on a frozen base."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from engine.formats.dataset import Row
from engine.lora import Adapter, attach, new_adapter, write_adapter
from engine.training.play import play
from engine.training.task import Loss
from engine.training.text import collate, completion_logits, completion_loss, encode, shuffled

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["LoraTask"]


class LoraTask:
    """A Task: a fresh LoRA of ``rank`` learns the completions of ``rows`` on a frozen base.

    ``targets`` are names of projections, none of them meaning every linear projection of the blocks.
    ``base`` is the name that the adapter's card will give. The bank stays on the model, silent, until
    ``close``. Raises AdapterError when no projection matches, DataError for a row of more than
    ``max_length`` tokens.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        rows: Sequence[Row],
        *,
        rank: int,
        alpha: float | None = None,
        targets: Sequence[str] = (),
        rslora: bool = False,
        batch_size: int = 32,
        max_length: int = 256,
        seed: int = 0,
        name: str = "new",
        base: str = "",
    ) -> None:
        model.requires_grad_(False).eval()
        self.model = model
        self.name = name
        self.base = base
        self.batch_size = batch_size
        self.examples = encode(tokenizer, rows, max_length)
        adapter = self.prepared(new_adapter(model, rank, alpha, targets, rslora, seed, name))
        self.bank = attach(model, {name: adapter}, trainable=True)
        self.gates = self.bank.new_gates({name: 1.0})

    def prepared(self, adapter: Adapter) -> Adapter:
        """The fresh adapter as this task wants it before it is attached."""
        return adapter

    def parameters(self) -> dict[str, Tensor]:
        return dict(self.bank.named_parameters())

    def batches(self, order: torch.Generator) -> list[list[int]]:
        return shuffled(len(self.examples), self.batch_size, order)

    def loss(self, numbers: list[int]) -> Loss:
        batch = collate([self.examples[number] for number in numbers], self.model.device)
        with play(self.bank, self.gates):
            logits = completion_logits(self.model, batch)
        return Loss(completion_loss(logits, batch), batch.read)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the adapter as a PEFT folder."""
        adapter = self.bank.read(self.name)
        config = dataclasses.replace(adapter.config, base=self.base)
        write_adapter(dataclasses.replace(adapter, config=config), folder)
        return {
            "rank": adapter.rank,
            "parameters": sum(tensor.numel() for tensor in self.parameters().values()),
        }

    def close(self) -> None:
        """Take the bank off the model."""
        self.bank.detach()

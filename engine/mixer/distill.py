"""Distillation: a plain LoRA learns to say what a mix says (Hinton et al., arXiv 1503.02531)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from engine.lora import Adapter, Bank, Gates, attach, write_adapter
from engine.mixer.export import divergence
from engine.training import Loss
from engine.training.play import play
from engine.training.text import Example, collate, completion_logits, shuffled

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Distillation"]

LORA = "lora"


class Distillation:
    """A Task: ``lora`` moves towards ``bank`` under ``gates``: KL(mix || LoRA) over the completions' tokens.

    Both stay on the model, silent, until ``close``.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        bank: Bank,
        gates: Gates,
        lora: Adapter,
        examples: Sequence[Example],
        batch_size: int,
    ) -> None:
        self.model = model
        self.bank = bank
        self.gates = gates
        self.examples = examples
        self.batch_size = batch_size
        self.student = attach(model, {LORA: lora}, trainable=True)
        self.speaking = self.student.new_gates({LORA: 1.0})

    def parameters(self) -> dict[str, Tensor]:
        return dict(self.student.named_parameters())

    def batches(self, order: torch.Generator) -> list[list[int]]:
        return shuffled(len(self.examples), self.batch_size, order)

    def loss(self, numbers: Sequence[int]) -> Loss:
        batch = collate([self.examples[number] for number in numbers], self.model.device)
        with torch.no_grad(), play(self.bank, self.gates):
            mix = completion_logits(self.model, batch)
        with play(self.student, self.speaking):
            lora = completion_logits(self.model, batch)
        return Loss(divergence(mix.float(), lora.float()), batch.read)

    def adapter(self) -> Adapter:
        """The LoRA as it is now."""
        return self.student.read(LORA)

    def save(self, folder: Path) -> dict[str, Any]:
        write_adapter(self.adapter(), folder)
        return {}

    def close(self) -> None:
        """Take the LoRA off the model."""
        self.student.detach()

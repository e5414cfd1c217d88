"""The starter experts: one LoRA per task, trained with the studio's own loop on the pack's train files."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.formats.dataset import read_rows
from engine.starter.pack import BASE_NAME
from engine.training import LoraTask, Settings, StepDone, train

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["ExpertRecipe", "train_expert"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExpertRecipe:
    """A LoRA on every projection of the blocks."""

    rank: int = 8
    alpha: float = 16.0
    steps: int = 250
    batch_size: int = 64
    learning_rate: float = 5e-3
    seed: int = 5


def train_expert(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    data: Path,
    folder: Path,
    recipe: ExpertRecipe,
) -> None:
    """Train a LoRA on the rows of ``data`` over the frozen ``model``; ``folder`` becomes a PEFT folder."""
    task = LoraTask(
        model,
        tokenizer,
        read_rows(data),
        rank=recipe.rank,
        alpha=recipe.alpha,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        name=folder.name,
        base=BASE_NAME,
    )
    settings = Settings(steps=recipe.steps, learning_rate=recipe.learning_rate, seed=recipe.seed)
    try:
        for event in train(task, settings):
            if isinstance(event, StepDone) and event.step % 50 == 0:
                log.info("%s %d/%d: loss %.4f", folder.name, event.step, event.steps, event.metrics["loss"])
        task.save(folder)
    finally:
        task.close()

"""The starter base: a small Llama trained from nothing on the corpus, the command kept alive in every layer.

Beside the next character, each layer's hidden state has to tell which command the line began with (a linear
reading, thrown away afterwards). Large instruct models carry their instruction along by themselves; a small
one has to be asked, or no router could know at the tenth letter what was wanted.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, rms_norm
from transformers import LlamaConfig, LlamaForCausalLM

from engine.starter.corpus import Line, corpus
from engine.starter.tokenizer import ANSWER, COMMANDS, END, PAD, build_tokenizer, save_tokenizer
from engine.training import Loss, Settings, StepDone, train

__all__ = ["BaseRecipe", "BaseTask", "new_base", "train_base"]

log = logging.getLogger(__name__)
IGNORED = -100


@dataclass(frozen=True)
class BaseRecipe:
    """Shape and training of the base. ``asked`` and ``recall`` weigh two losses against that of the answer:

    the next character of the prompt, which is mostly chance, and the reading of the command.
    """

    layers: int = 4
    hidden: int = 128
    intermediate: int = 384
    heads: int = 4
    steps: int = 5000
    batch_size: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    asked: float = 0.1
    recall: float = 0.2
    seed: int = 7


@dataclass(frozen=True)
class Batch:
    """``ids`` [n, t], right padded; the next token of ``asked`` and of ``said`` [n, t]; ``commands`` [n].

    -100 stands where there is nothing to predict.
    """

    ids: Tensor
    asked: Tensor
    said: Tensor
    commands: Tensor


def new_base(recipe: BaseRecipe) -> LlamaForCausalLM:
    """The untrained model, the same for the same seed."""
    tokenizer = build_tokenizer()
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=recipe.hidden,
        intermediate_size=recipe.intermediate,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.token_to_id(END),
        pad_token_id=tokenizer.token_to_id(PAD),
        initializer_range=0.05,
    )
    torch.manual_seed(recipe.seed)
    return LlamaForCausalLM(config)


class BaseTask:
    """What the training loop needs to train the base: its weights, endless lines, and three losses."""

    BATCHES = 32
    """Batches per pass; within a pass, lines of like length go together."""

    def __init__(self, model: LlamaForCausalLM, recipe: BaseRecipe) -> None:
        self.model = model
        self.recipe = recipe
        self.reader = nn.Linear(recipe.hidden, len(COMMANDS), device=model.device)
        self._tokenizer = build_tokenizer()

    def parameters(self) -> dict[str, Tensor]:
        return dict(self.model.named_parameters()) | dict(self.reader.named_parameters(prefix="reader"))

    def batches(self, order: torch.Generator) -> list[Batch]:
        lines = corpus(int(torch.randint(2**31, (), generator=order)))
        drawn = [self._encode(line) for line in islice(lines, self.BATCHES * self.recipe.batch_size)]
        drawn.sort(key=lambda pair: len(pair[0]))
        starts = torch.randperm(self.BATCHES, generator=order).tolist()
        size = self.recipe.batch_size
        return [self._batch(drawn[start * size : (start + 1) * size]) for start in starts]

    def loss(self, batch: Batch) -> Loss:
        out = self.model(input_ids=batch.ids, output_hidden_states=True, use_cache=False)
        said, asked = _cross_entropy(out.logits, batch.said), _cross_entropy(out.logits, batch.asked)
        states = torch.stack(out.hidden_states[1:-1])
        readings = self.reader(rms_norm(states, states.shape[-1:]))
        present = (batch.said != IGNORED) | (batch.asked != IGNORED)
        wanted = torch.where(present, batch.commands[:, None], IGNORED)
        recalled = _cross_entropy(readings, wanted.expand(readings.shape[:-1]))
        return Loss(
            said + self.recipe.asked * asked + self.recipe.recall * recalled,
            tokens=int(present.sum()),
            metrics={"answer": said.detach(), "command": recalled.detach()},
        )

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the model and its tokenizer. Weights are stored as bfloat16, and computed with as float32."""
        self.model.to(torch.bfloat16).save_pretrained(folder)
        self.model.config.dtype = torch.float32
        self.model.config.save_pretrained(folder)
        (folder / "model.safetensors").chmod(0o644)
        save_tokenizer(folder)
        return {"parameters": sum(parameter.numel() for parameter in self.model.parameters())}

    def _encode(self, line: Line) -> tuple[list[int], int]:
        asked = self._tokenizer.encode(line.prompt).ids
        said = self._tokenizer.encode(line.answer, add_special_tokens=False).ids
        return [*asked, *said, self.model.config.eos_token_id], line.command

    def _batch(self, lines: list[tuple[list[int], int]]) -> Batch:
        longest = max(len(ids) for ids, _ in lines)
        device = self.model.device
        whole = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in lines], device=device)
        following = whole[:, 1:].masked_fill(whole[:, 1:] == 0, IGNORED)
        answering = torch.eq(whole[:, :-1], self._tokenizer.get_vocab()[ANSWER]).cumsum(1) > 0
        return Batch(
            whole[:, :-1],
            following.masked_fill(answering, IGNORED),
            following.masked_fill(~answering, IGNORED),
            torch.tensor([command if command >= 0 else IGNORED for _, command in lines], device=device),
        )


def _cross_entropy(scores: Tensor, wanted: Tensor) -> Tensor:
    return cross_entropy(scores.flatten(0, -2), wanted.flatten(), ignore_index=IGNORED)


def train_base(folder: Path, recipe: BaseRecipe, device: str = "cpu") -> None:
    """Train the base and write it to ``folder``: config, weights and tokenizer as transformers reads them."""
    task = BaseTask(new_base(recipe).to(device), recipe)
    settings = Settings(
        steps=recipe.steps,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        seed=recipe.seed,
    )
    for event in train(task, settings):
        if isinstance(event, StepDone) and event.step % 100 == 0:
            answer, command = event.metrics["answer"], event.metrics["command"]
            log.info("base %d/%d: answer %.3f, command %.3f", event.step, event.steps, answer, command)
    task.save(folder)

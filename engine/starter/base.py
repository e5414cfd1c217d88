"""The starter base: a small Llama trained from nothing on the corpus, the command kept alive in every layer.

Beside the next character, each layer's hidden state has to tell which command the line began with (a linear
reading, thrown away afterwards). Large instruct models carry their instruction along by themselves; a small
one has to be asked, or no router could know at the tenth letter what was wanted.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, rms_norm
from transformers import LlamaConfig, LlamaForCausalLM

from engine.starter.corpus import Line, corpus
from engine.starter.tokenizer import ANSWER, COMMANDS, END, PAD, build_tokenizer

__all__ = ["BaseRecipe", "train_base"]

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
    steps: int = 4000
    batch_size: int = 128
    learning_rate: float = 3e-3
    warmup: float = 0.05
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


def batches(recipe: BaseRecipe, device: str) -> Iterator[Batch]:
    """Batches of lines of like length, from the endless corpus."""
    tokenizer = build_tokenizer()
    vocabulary = tokenizer.get_vocab()
    answer, end = vocabulary[ANSWER], vocabulary[END]
    lines = corpus(recipe.seed)
    order = torch.Generator().manual_seed(recipe.seed)

    def encode(line: Line) -> list[int]:
        asked = tokenizer.encode(line.prompt, add_special_tokens=False).ids
        said = tokenizer.encode(line.answer, add_special_tokens=False).ids
        return [*asked, answer, *said, end]

    while True:
        drawn = [(encode(line), line.command) for line in islice(lines, 32 * recipe.batch_size)]
        drawn.sort(key=lambda pair: len(pair[0]))
        for index in torch.randperm(32, generator=order).tolist():
            chosen = drawn[index * recipe.batch_size : (index + 1) * recipe.batch_size]
            longest = len(chosen[-1][0])
            whole = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in chosen], device=device)
            following = whole[:, 1:].masked_fill(whole[:, 1:] == 0, IGNORED)
            answering = torch.eq(whole[:, :-1], answer).cumsum(1) > 0
            commands = [command if command >= 0 else IGNORED for _, command in chosen]
            yield Batch(
                whole[:, :-1],
                following.masked_fill(answering, IGNORED),
                following.masked_fill(~answering, IGNORED),
                torch.tensor(commands, device=device),
            )


def losses(model: LlamaForCausalLM, reader: nn.Linear, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """In nats: the answer's next token, the prompt's, and the command read off every layer but the last."""
    out = model(input_ids=batch.ids, output_hidden_states=True, use_cache=False)
    said = _cross_entropy(out.logits, batch.said)
    asked = _cross_entropy(out.logits, batch.asked)
    states = torch.stack(out.hidden_states[1:-1])
    readings = reader(rms_norm(states, states.shape[-1:]))
    present = (batch.said != IGNORED) | (batch.asked != IGNORED)
    wanted = torch.where(present, batch.commands[:, None], IGNORED)
    return said, asked, _cross_entropy(readings, wanted.expand(readings.shape[:-1]))


def _cross_entropy(scores: Tensor, wanted: Tensor) -> Tensor:
    return cross_entropy(scores.flatten(0, -2), wanted.flatten(), ignore_index=IGNORED)


def train_base(recipe: BaseRecipe, device: str = "cpu") -> LlamaForCausalLM:
    """Train the base and round its weights to bfloat16 (kept in float32), as they are stored."""
    model = new_base(recipe).to(device)
    reader = nn.Linear(recipe.hidden, len(COMMANDS)).to(device)
    weights = [*model.parameters(), *reader.parameters()]
    optimizer = torch.optim.AdamW(
        weights, lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay
    )
    rise = max(1, round(recipe.warmup * recipe.steps))

    def rate(step: int) -> float:
        falling = 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
        return min(1.0, (step + 1) / rise) * falling

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    for step, batch in enumerate(islice(batches(recipe, device), recipe.steps)):
        said, asked, recalled = losses(model, reader, batch)
        optimizer.zero_grad()
        loss = said + recipe.asked * asked + recipe.recall * recalled
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            log.info(
                "base %d/%d: answer %.3f, command %.3f", step, recipe.steps, said.item(), recalled.item()
            )
    model = model.to("cpu").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.bfloat16().float())
    return model

"""Rows of text as padded batches of tokens: the prompt is read, the completion and its end are learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from engine.formats.chat_template import render
from engine.formats.dataset import Message, Row
from engine.formats.errors import DataError

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedModel, PreTrainedTokenizerBase

__all__ = [
    "Batch",
    "Example",
    "collate",
    "completion_logits",
    "completion_loss",
    "encode",
    "encode_prompt",
    "shuffled",
]


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids of one row; the first ``asked`` of them are the prompt."""

    ids: list[int]
    asked: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Right-padded ids [rows, length] without each row's last, which predicts nothing; which are real; which
    predict a learned token; those tokens, row by row; how many are real.

    No attention mask is needed: in a causal model a real token never sees the padding behind it.
    """

    ids: Tensor
    real: Tensor
    learned: Tensor
    targets: Tensor
    read: int


def encode_prompt(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    """Token ids of a prompt as a model reads it: opened as the tokenizer does, and left open."""
    ids: list[int] = tokenizer(prompt).input_ids
    end = tokenizer.eos_token_id
    if ids and ids[-1] == end != tokenizer.bos_token_id:
        ids = ids[:-1]
    if not ids:
        opening = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else end
        if opening is None:
            raise DataError("An empty prompt has no token to start from.", "Write a prompt.")
        ids = [opening]
    return ids


def encode(
    tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row], max_length: int | None = None
) -> list[Example]:
    """Rows as token ids, completions closed by the tokenizer's end token.

    Conversations go through the tokenizer's chat template where it has one, and through their plain form
    where not. Raises DataError for a row of more than ``max_length`` tokens: nothing is cut.
    """
    templated = [row.messages if tokenizer.chat_template else () for row in rows]
    rendered = iter(_rendered(tokenizer, [turns for turns in templated if turns]))
    examples = []
    for number, (row, turns) in enumerate(zip(rows, templated, strict=True), 1):
        if turns:
            # The template writes its own opening and closing tokens.
            asked, answer = next(rendered)
            prompt = tokenizer(asked, add_special_tokens=False).input_ids
            end: list[int] = []
        else:
            prompt, answer = encode_prompt(tokenizer, row.prompt), row.completion
            end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
        ids = prompt + tokenizer(answer, add_special_tokens=False).input_ids + end
        if max_length is not None and len(ids) > max_length:
            raise DataError(
                f"Example {number} has {len(ids)} tokens, more than the {max_length} allowed.",
                f"Shorten it, or allow {len(ids)} tokens.",
            )
        examples.append(Example(ids, len(prompt)))
    return examples


def _rendered(
    tokenizer: PreTrainedTokenizerBase, conversations: Sequence[Sequence[Message]]
) -> list[tuple[str, str]]:
    if not conversations:
        return []
    if not isinstance(tokenizer.chat_template, str):
        raise DataError("The base has several chat templates.", "Use rows with prompt and completion.")
    special = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
    return render(tokenizer.chat_template, special, conversations)


def shuffled(count: int, batch_size: int, order: torch.Generator) -> list[list[int]]:
    """The numbers below ``count`` in an order drawn from ``order``, in batches; the last may be smaller."""
    numbers: list[int] = torch.randperm(count, generator=order).tolist()
    return [numbers[start : start + batch_size] for start in range(0, count, batch_size)]


def collate(examples: Sequence[Example], device: torch.device | str = "cpu") -> Batch:
    """Examples of any length as one batch on ``device``."""
    lengths = torch.tensor([len(example.ids) for example in examples])
    asked = torch.tensor([example.asked for example in examples])
    ids = torch.nn.utils.rnn.pad_sequence(
        [torch.tensor(example.ids) for example in examples], batch_first=True
    )
    position = torch.arange(ids.shape[1] - 1)
    real = position < lengths[:, None] - 1
    learned = real & (position >= asked[:, None] - 1)
    targets = ids[:, 1:][learned]
    read, ids = int(real.sum()), ids[:, :-1]
    return Batch(ids.to(device), real.to(device), learned.to(device), targets.to(device), read)


def completion_logits(
    model: PreTrainedModel, batch: Batch, embeddings: Tensor | None = None, cache: Cache | None = None
) -> Tensor:
    """What ``model`` says at the learned positions, row by row: [learned tokens, vocabulary].

    ``embeddings`` [rows, length, width] are read in the place of the ids' own, going on from ``cache``. Its
    head, as wide as the vocabulary, reads these positions alone. Where a bank adapts the head it reads the
    whole text, because a router follows a text from its start.
    """
    head = model.get_output_embeddings()
    read: dict[str, Any] = {"input_ids": batch.ids} if embeddings is None else {"inputs_embeds": embeddings}
    read |= {"use_cache": False} if cache is None else {"use_cache": True, "past_key_values": cache}
    logits: Tensor
    if head is None or head._forward_hooks:
        logits = model(**read).logits[batch.learned]
        return logits
    handle = head.register_forward_pre_hook(lambda module, args: (args[0][batch.learned],))
    try:
        logits = model(**read).logits
    finally:
        handle.remove()
    return logits


def completion_loss(logits: Tensor, batch: Batch, reduction: str = "mean") -> Tensor:
    """Cross-entropy in nats of the learned tokens.

    ``logits`` is [learned tokens, vocabulary]. With ``reduction`` "none" one number per learned token, row
    by row.
    """
    tokens: Tensor = _CrossEntropy.apply(logits, batch.targets)  # type: ignore[no-untyped-call]
    return tokens if reduction == "none" else tokens.mean()


class _CrossEntropy(torch.autograd.Function):
    """- log softmax(logits)[target] for each token, in float32.

    The logarithms become the gradient where they lie: of what is as wide as the vocabulary a step makes
    one more tensor, where torch's own makes three. So it goes backward once.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
        logs = functional.log_softmax(logits, -1, dtype=torch.float32)
        ctx.save_for_backward(logs, targets)
        ctx.kind = logits.dtype
        return logs.gather(-1, targets[:, None]).squeeze(-1).neg_()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        logs, targets = ctx.saved_tensors
        slope = slope[:, None]
        grown = logs.exp_().mul_(slope).scatter_add_(-1, targets[:, None], -slope)
        return grown.to(ctx.kind), None

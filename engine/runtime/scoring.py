"""Evaluation on held-out rows: exact match, or nats per completion token, each with its interval."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence

import numpy
import torch
from numpy.typing import NDArray
from transformers import DynamicCache

from engine.formats.dataset import read_rows
from engine.messages import Score, Scored, Scoring
from engine.runtime.base import Base
from engine.runtime.voices import Voice
from engine.training.text import Example, collate, completion_loss, encode

Numbers = NDArray[numpy.float64]

__all__ = ["bootstrap_ratio", "score", "wilson"]

SPARE = 4
"""Tokens that an answer may have more than the reference: some texts can be spelled with more tokens."""

Z = 1.959964
RESAMPLES = 1000


def score(base: Base, voice: Voice, request: Score, data: str) -> Generator[Scoring | None, None, Scored]:
    """Score the rows of the file ``data``; yields after every forward pass, a Scoring after every batch.

    exact: the whole answer equals the completion, surrounding blanks apart; Wilson interval. loss: total
    nats over total tokens; bootstrap over rows. Both 95 %. Raises DataError for a file that cannot be used.
    """
    window = getattr(base.model.config, "max_position_embeddings", None)
    examples = encode(base.tokenizer, read_rows(data, request.limit), window)
    # Neighbours of like length need little padding.
    examples.sort(key=lambda example: example.asked)
    measure = _matches if request.metric == "exact" else _losses
    total, counts = numpy.zeros(0), numpy.zeros(0)
    for start in range(0, len(examples), request.batch_size):
        group = examples[start : start + request.batch_size]
        new_total, new_counts = yield from measure(base, voice, group)
        total, counts = numpy.append(total, new_total), numpy.append(counts, new_counts)
        yield Scoring(done=len(total), total=len(examples), value=float(total.sum() / counts.sum()))
    interval = (
        wilson(int(total.sum()), len(total)) if request.metric == "exact" else bootstrap_ratio(total, counts)
    )
    return Scored(
        metric=request.metric, value=float(total.sum() / counts.sum()), interval=interval, n=len(examples)
    )


Measured = tuple[list[float], list[float]]


def _matches(base: Base, voice: Voice, examples: Sequence[Example]) -> Generator[None, None, Measured]:
    """1 or 0 per example, and 1 each."""
    prompts = [example.ids[: example.asked] for example in examples]
    wanted = [example.ids[example.asked :] for example in examples]
    answers: list[list[int]] = [[] for _ in examples]
    open_rows = set(range(len(examples)))
    for step, tokens in enumerate(_greedy(base, voice, prompts)):
        for row in list(open_rows):
            if tokens[row] in base.ends:
                open_rows.discard(row)
            else:
                answers[row].append(tokens[row])
                if step >= len(wanted[row]) + SPARE:
                    open_rows.discard(row)
        yield
        if not open_rows:
            break
    said, meant = (
        base.tokenizer.batch_decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        for ids in (answers, wanted)
    )
    return [float(a.strip() == b.strip()) for a, b in zip(said, meant, strict=True)], [1.0] * len(examples)


def _greedy(base: Base, voice: Voice, prompts: Sequence[list[int]]) -> Iterator[list[int]]:
    """The likeliest next token of every prompt, again and again. Prompts are padded on the left."""
    longest = max(len(prompt) for prompt in prompts)
    pads = torch.tensor([longest - len(prompt) for prompt in prompts], device=base.device)
    ids = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts], device=base.device)
    positions = torch.arange(longest, device=base.device) - pads[:, None]
    mask = (positions >= 0).long()
    padded = bool(pads.any())
    positions = positions.clamp(min=0)
    cache = DynamicCache(config=base.model.config)
    while True:
        with torch.no_grad(), voice.playing():
            logits = base.model(
                input_ids=ids,
                attention_mask=mask if padded else None,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits
        ids = logits[:, -1].argmax(-1, keepdim=True)
        positions = positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(prompts), 1)], dim=1)
        yield ids[:, 0].tolist()


def _losses(base: Base, voice: Voice, examples: Sequence[Example]) -> Generator[None, None, Measured]:
    """Nats and learned tokens per example."""
    batch = collate(examples, base.device)
    with torch.no_grad(), voice.playing():
        logits = base.model(input_ids=batch.ids, use_cache=False).logits
    tokens = completion_loss(logits, batch, reduction="none")
    yield
    counts = batch.learned.sum(1)
    return [float(part.sum()) for part in torch.split(tokens, counts.tolist())], counts.double().tolist()


def wilson(hits: int, n: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927)."""
    share = hits / n
    middle = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    reach = Z * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def bootstrap_ratio(totals: Numbers, counts: Numbers) -> tuple[float, float]:
    """The 95 % percentile interval of sum(totals) / sum(counts) over redrawn rows; always the same one."""
    chance = numpy.random.default_rng(0)
    drawn = chance.multinomial(len(totals), numpy.full(len(totals), 1 / len(totals)), size=RESAMPLES)
    low, high = numpy.percentile((drawn @ totals) / (drawn @ counts), [2.5, 97.5])
    return float(low), float(high)

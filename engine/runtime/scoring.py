"""Evaluation on held-out rows: exact match, or nats per completion token, row by row and with an interval."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import numpy
import torch
from transformers import DynamicCache

from engine.formats.dataset import read_rows
from engine.messages import Score, Scored, Scoring
from engine.runtime.base import Base
from engine.runtime.intervals import Numbers, mean_interval, wilson
from engine.runtime.voices import Voice
from engine.training.text import Example, collate, completion_loss, encode

__all__ = ["Measured", "Metric", "Speaker", "matches", "measure", "read_examples", "score"]

Metric = Literal["exact", "loss"]

SPARE = 4
"""Tokens that an answer may have more than the reference: some texts can be spelled with more tokens."""


@dataclass(frozen=True)
class Speaker:
    """Whoever is scored: a model, what is done around each of its passes, and whether it can keep a cache."""

    model: Callable[..., Any]
    playing: Callable[[], AbstractContextManager[None]] = nullcontext
    cached: bool = True


@dataclass(frozen=True)
class Measured:
    """What each row gave, in the order of the rows: hits of 1 each, or nats of so many learned tokens."""

    totals: Numbers
    counts: Numbers

    @property
    def value(self) -> float:
        return float(self.totals.sum() / self.counts.sum())

    def interval(self, metric: Metric) -> tuple[float, float]:
        """95 %: Wilson for exact, bootstrap over rows for loss."""
        if metric == "exact":
            return wilson(int(self.totals.sum()), len(self.totals))
        return mean_interval([(self.totals, self.counts)])


def score(base: Base, voice: Voice, request: Score, data: str) -> Generator[Scoring | None, None, Scored]:
    """Score the rows of the file ``data``; yields after every forward pass, a Scoring after every batch.

    exact: the whole answer equals the completion, surrounding blanks apart. loss: total nats over total
    tokens. Raises DataError for a file that cannot be used.
    """
    examples = read_examples(base, data, request.limit)
    steps = measure(base, Speaker(base.model, voice.playing), examples, request.metric, request.batch_size)
    while True:
        try:
            seen = next(steps)
        except StopIteration as end:
            whole: Measured = end.value
            break
        yield Scoring(done=len(seen.totals), total=len(examples), value=seen.value) if seen else None
    return Scored(
        metric=request.metric,
        value=whole.value,
        interval=whole.interval(request.metric),
        n=len(examples),
        notes=voice.notes,
    )


def read_examples(base: Base, data: str, limit: int | None = None) -> list[Example]:
    """The first ``limit`` rows of a file as tokens, as long as the base can read. Raises DataError."""
    window = getattr(base.model.config, "max_position_embeddings", None)
    return encode(base.tokenizer, read_rows(data, limit), window)


def measure(
    base: Base, speaker: Speaker, examples: Sequence[Example], metric: Metric, batch_size: int
) -> Generator[Measured | None, None, Measured]:
    """Every example measured. Yields after every pass, and what has been measured after every batch."""
    # Neighbours of like length need little padding.
    order = sorted(range(len(examples)), key=lambda number: examples[number].asked)
    totals, counts = numpy.zeros(len(order)), numpy.zeros(len(order))
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = [examples[number] for number in chosen]
        matching = matches(base, speaker, batch) if metric == "exact" else _losses(base, speaker, batch)
        totals[chosen], counts[chosen] = yield from matching
        done = order[: start + batch_size]
        yield Measured(totals[done], counts[done])
    return Measured(totals, counts)


Pair = tuple[list[float], list[float]]


def matches(
    base: Base, speaker: Speaker, examples: Sequence[Example], begun: Sequence[list[int]] = ()
) -> Generator[None, None, Pair]:
    """1 or 0 per example, and 1 each. ``begun`` are the first tokens of each answer, where they are known."""
    answers = [list(ids) for ids in begun] or [[] for _ in examples]
    prompts = [
        example.ids[: example.asked] + answer for example, answer in zip(examples, answers, strict=True)
    ]
    wanted = [example.ids[example.asked :] for example in examples]
    open_rows = set(range(len(examples)))
    for tokens in _greedy(base, speaker, prompts):
        for row in list(open_rows):
            if tokens[row] in base.ends:
                open_rows.discard(row)
            else:
                answers[row].append(tokens[row])
                if len(answers[row]) > len(wanted[row]) + SPARE:
                    open_rows.discard(row)
        yield
        if not open_rows:
            break
    said, meant = (
        base.tokenizer.batch_decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        for ids in (answers, wanted)
    )
    return [float(a.strip() == b.strip()) for a, b in zip(said, meant, strict=True)], [1.0] * len(examples)


def _greedy(base: Base, speaker: Speaker, prompts: Sequence[list[int]]) -> Iterator[list[int]]:
    """The likeliest next token of every prompt, again and again. Prompts are padded on the left.

    Without a cache the whole text is read again for every token.
    """
    longest = max(len(prompt) for prompt in prompts)
    pads = torch.tensor([longest - len(prompt) for prompt in prompts], device=base.device)
    ids = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts], device=base.device)
    positions = torch.arange(longest, device=base.device) - pads[:, None]
    mask = (positions >= 0).long()
    padded = bool(pads.any())
    positions = positions.clamp(min=0)
    keeping = {"past_key_values": DynamicCache(config=base.model.config)} if speaker.cached else {}
    while True:
        with torch.no_grad(), speaker.playing():
            logits = speaker.model(
                input_ids=ids,
                attention_mask=mask if padded else None,
                position_ids=positions,
                use_cache=speaker.cached,
                logits_to_keep=1,
                **keeping,
            ).logits
        new = logits[:, -1].argmax(-1, keepdim=True)
        following = positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(prompts), 1)], dim=1)
        ids = new if speaker.cached else torch.cat([ids, new], dim=1)
        positions = following if speaker.cached else torch.cat([positions, following], dim=1)
        yield new[:, 0].tolist()


def _losses(base: Base, speaker: Speaker, examples: Sequence[Example]) -> Generator[None, None, Pair]:
    """Nats and learned tokens per example."""
    batch = collate(examples, base.device)
    with torch.no_grad(), speaker.playing():
        logits = speaker.model(input_ids=batch.ids, use_cache=False).logits
    tokens = completion_loss(logits[batch.learned], batch, reduction="none")
    yield
    counts = batch.learned.sum(1)
    return [float(part.sum()) for part in torch.split(tokens, counts.tolist())], counts.double().tolist()

"""Whether answers would equal their references: read off passes over both, instead of written."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache

from engine.formats.architectures import STATEFUL
from engine.runtime.base import Base
from engine.training.text import Example, collate, completion_logits

__all__ = ["Verdict", "check", "judge"]

Verdict = tuple[float | None, list[int]]
"""1, 0 or None (open) for an answer that would begin with these tokens."""

Play = Callable[[Sequence[int]], AbstractContextManager[None]]


def check(
    base: Base,
    examples: Sequence[Example],
    playing: Play,
    cache: DynamicCache,
    opened: int,
    likely: bool = False,
) -> Generator[None, None, list[Verdict]]:
    """The verdict on a greedy answer to each example; yields after every pass. ``cache`` has read the first
    ``opened`` tokens of each.

    All prompts are read, and then, by those rows whose first token is right, their whole references at once.
    ``playing(rows)`` is done around a pass over the rows of these numbers. Where most will be right
    (``likely``), and by a base whose cache is a state, prompt and reference are read in one pass.
    """
    wanted = [example.ids[example.asked :] for example in examples]
    everyone = list(range(len(examples)))
    if likely or base.model.config.model_type in STATEFUL:
        said = _read_whole(base, examples, playing(everyone), cache, opened)
        yield
        return [judge(base, *pair) for pair in zip(wanted, said, strict=True)]
    reading = _Reading(base, examples, cache, opened)
    with torch.no_grad(), playing(everyone):
        first = reading.prompts()
    yield
    following = [row for row in everyone if first[row] == wanted[row][0] and len(wanted[row]) > 1]
    said = [[token] for token in first]
    if following:
        with torch.no_grad(), playing(following):
            rest = reading.references(following, [wanted[row] for row in following])
        for row, tokens in zip(following, rest, strict=True):
            said[row] += tokens
        yield
    return [judge(base, *pair) for pair in zip(wanted, said, strict=True)]


def judge(base: Base, wanted: Sequence[int], said: Sequence[int]) -> Verdict:
    """The verdict on an answer whose reference is ``wanted``: ``said[i]`` is the likeliest token after the
    prompt and ``wanted[:i]``, up to the first that differs or further.

    A greedy answer follows the reference to that place, and no further. From there on it can only be right
    by saying the same text with other tokens; where its text has left the reference's, it is wrong.
    """
    if said == wanted and wanted[-1] in base.ends:  # the same tokens need no text
        return 1.0, list(wanted[:-1])
    for place, token in enumerate(said):
        if token in base.ends:
            begun = list(wanted[:place])
            return float(_text(base, begun).strip() == _text(base, wanted).strip()), begun
        if token != wanted[place]:
            begun = [*wanted[:place], token]
            return None if _may_become(_text(base, begun), _text(base, wanted)) else 0.0, begun
    return None, list(wanted[: len(said)])


class _Reading:
    """Prompts but for what is in their cache already, padded on the left."""

    def __init__(self, base: Base, examples: Sequence[Example], cache: DynamicCache, opened: int) -> None:
        self._base = base
        self._cache = cache
        self._asked = torch.tensor([example.asked for example in examples], device=base.device)
        ids = [torch.tensor(example.ids[opened : example.asked]) for example in examples]
        self._ids = pad_sequence(ids, batch_first=True, padding_side="left").to(base.device)
        longest = self._ids.shape[1]
        positions = self._asked[:, None] + torch.arange(-longest, 0, device=base.device)
        self._positions = positions.clamp(min=0)
        real = (positions >= opened).long()
        self._mask = torch.cat([real.new_ones(len(examples), opened), real], 1)
        self._padded = not bool(real.all())

    def prompts(self) -> list[int]:
        """The likeliest token after each prompt."""
        tokens: list[int] = self._pass(self._ids, self._positions, self._mask, 1)[:, -1].tolist()
        return tokens

    def references(self, rows: Sequence[int], wanted: Sequence[list[int]]) -> list[list[int]]:
        """The likeliest token after each prefix of each row's reference, from its first token on."""
        ids = pad_sequence([torch.tensor(one[:-1]) for one in wanted], batch_first=True).to(self._base.device)
        chosen = torch.tensor(rows, device=self._base.device)
        self._cache.batch_select_indices(chosen)
        positions = self._asked[chosen, None] + torch.arange(ids.shape[1], device=ids.device)
        mask = torch.cat([self._mask[chosen], torch.ones_like(ids)], 1)
        tokens = self._pass(ids, positions, mask, 0).tolist()
        return [said[: len(one) - 1] for said, one in zip(tokens, wanted, strict=True)]

    def _pass(self, ids: Tensor, positions: Tensor, mask: Tensor, keep: int) -> Tensor:
        logits: Tensor = self._base.model(
            input_ids=ids,
            attention_mask=mask if self._padded else None,
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=keep,
        ).logits
        return logits.argmax(-1)


def _read_whole(
    base: Base,
    examples: Sequence[Example],
    playing: AbstractContextManager[None],
    cache: DynamicCache,
    opened: int,
) -> list[list[int]]:
    batch = collate([Example(one.ids[opened:], one.asked - opened) for one in examples], base.device)
    with torch.no_grad(), playing:
        tokens = completion_logits(base.model, batch, cache=cache if opened else None).argmax(-1)
    return [part.tolist() for part in torch.split(tokens, batch.learned.sum(1).tolist())]


def _may_become(begun: str, whole: str) -> bool:
    """Whether a text that begins so may still equal ``whole``, surrounding blanks apart."""
    begun, whole = begun.lstrip().rstrip("\N{REPLACEMENT CHARACTER}"), whole.strip()
    return whole.startswith(begun) or begun.rstrip() == whole


def _text(base: Base, ids: Sequence[int]) -> str:
    text = base.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert isinstance(text, str)
    return text

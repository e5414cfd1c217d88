"""Greedy exact match of a model on rows, with the 95 % Wilson interval (Wilson, JASA 22, 1927)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from engine.formats.dataset import Row
from engine.training.text import encode

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["Score", "exact_match", "wilson"]

Score = tuple[float, tuple[float, float], int]
"""A share, its 95 % interval, and the number of rows."""


@torch.inference_mode()
def exact_match(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Score:
    """The share of ``rows`` whose whole completion, its end included, the model writes greedily."""
    by_length = defaultdict(list)
    for example in encode(tokenizer, rows):
        by_length[example.asked].append(example.ids)
    right = 0
    for asked, group in by_length.items():
        longest = max(map(len, group))
        padded = torch.tensor([ids + [tokenizer.pad_token_id] * (longest - len(ids)) for ids in group])
        wanted = padded[:, asked:]
        read, cache, written = padded[:, :asked], None, []
        for _ in range(wanted.shape[1]):
            out = model(input_ids=read, past_key_values=cache, use_cache=True)
            read, cache = out.logits[:, -1:].argmax(-1), out.past_key_values
            written.append(read)
        same = torch.eq(torch.cat(written, 1), wanted) | torch.eq(wanted, tokenizer.pad_token_id)
        right += int(same.all(1).sum())
    return right / len(rows), wilson(right, len(rows)), len(rows)


def wilson(right: int, rows: int) -> tuple[float, float]:
    """The 95 % interval of a share seen as ``right`` out of ``rows``."""
    z = 1.96
    share = right / rows
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows)) / (1 + z * z / rows)
    return max(0.0, middle - half), min(1.0, middle + half)

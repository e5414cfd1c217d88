"""What all prompts of a set begin with, an instruction mostly: read once by each voice, not in each row."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch
from transformers import DynamicCache

from engine.formats.architectures import STATEFUL
from engine.runtime.base import Base
from engine.training.text import Example

__all__ = ["Opening"]


class Opening:
    """The first ``length`` tokens of every example; at least one token of each prompt comes after them.

    ``length`` is 0 for a base whose cache is a state. ``read`` comes before ``cache``.
    """

    def __init__(self, base: Base, examples: Sequence[Example]) -> None:
        self._base = base
        self._ids: list[int] = []
        if base.model.config.model_type not in STATEFUL:
            first, last = (choose([one.ids[: one.asked - 1] for one in examples]) for choose in (min, max))
            differing = (
                place for place, pair in enumerate(zip(first, last, strict=False)) if len({*pair}) > 1
            )
            self._ids = first[: next(differing, min(len(first), len(last)))]
        self._cache = base.new_cache()

    @property
    def length(self) -> int:
        return len(self._ids)

    def read(self, playing: AbstractContextManager[None], voices: int) -> None:
        """Let ``voices`` read it, as rows of one batch, inside ``playing``."""
        if self._ids:
            with torch.no_grad(), playing:
                ids = torch.tensor([self._ids] * voices, device=self._base.device)
                self._base.read(ids, self._cache)

    def cache(self, rows: Sequence[int]) -> DynamicCache:
        """A new cache; row i goes on from what voice ``rows[i]`` has read."""
        cache = copy.deepcopy(self._cache)
        if self._ids:
            cache.batch_select_indices(torch.tensor(rows, device=self._base.device))
        return cache

"""What a router remembers of the text so far: running means beside the KV cache, on the cache object itself.

A mean over the prefix commutes with a linear map, so what is kept is the mean of a few logits, not of a
hidden state. The memory lives in an attribute of ``past_key_values``: answers that take turns never mix,
copies of a cache copy it, and beam search reorders it with the keys and values.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from torch import Tensor

from engine.formats.errors import StudioError

__all__ = ["Memory", "Prefix"]

_ATTRIBUTE = "adapter_studio_memory"


class Memory:
    """Sums over the ``length`` tokens read so far and, per row, how many of them were not padding."""

    def __init__(self, length: int, count: int | Tensor, sums: dict[Hashable, Tensor]) -> None:
        self.length = length
        self.count = count
        self.sums = sums

    def pick(self, rows: Tensor) -> None:
        """Reorder, repeat or drop rows of the batch as the cache does."""
        self.sums = {key: value.index_select(0, rows.to(value.device)) for key, value in self.sums.items()}
        if isinstance(self.count, Tensor):
            self.count = self.count.index_select(0, rows.to(self.count.device))


class _Remembering:
    """Mixed into the class of a cache that carries a memory: whatever happens to its rows happens to it
    too."""

    def reorder_cache(self, beam_idx: Tensor) -> None:
        super().reorder_cache(beam_idx)  # type: ignore[misc]
        getattr(self, _ATTRIBUTE).pick(beam_idx)

    def batch_select_indices(self, indices: Tensor) -> None:
        super().batch_select_indices(indices)  # type: ignore[misc]
        getattr(self, _ATTRIBUTE).pick(indices)

    def batch_repeat_interleave(self, repeats: int) -> None:
        rows = self.batch_size  # type: ignore[attr-defined]
        super().batch_repeat_interleave(repeats)  # type: ignore[misc]
        getattr(self, _ATTRIBUTE).pick(torch.arange(rows).repeat_interleave(repeats))


_classes: dict[type, type] = {}


def _attach(cache: Any, memory: Memory) -> None:
    plain = type(cache)
    if not isinstance(cache, _Remembering):
        if plain not in _classes:
            _classes[plain] = type(plain.__name__, (_Remembering, plain), {"__module__": plain.__module__})
        cache.__class__ = _classes[plain]
    setattr(cache, _ATTRIBUTE, memory)


def _length(cache: Any, past: Memory | None) -> int:
    """How many tokens a cache has read. A Mamba's states do not count them; the memory beside them does."""
    if cache is None:
        return 0
    try:
        return int(cache.get_seq_length())
    except ValueError:
        return (past.length if past is not None else -1) if cache.has_previous_state() else 0


class Prefix:
    """One forward pass of the model as the routers see it: its padding, and the memory it goes on from."""

    def __init__(self, attention_mask: Tensor | None, cache: Any) -> None:
        self._mask = attention_mask
        self.cache = cache
        self._past: Memory | None = None
        self._before: Mapping[Hashable, Tensor] = {}
        self._sums: dict[Hashable, Tensor] = {}
        self._shape: tuple[int, int] | None = None
        self._keep: Tensor | None = None
        self._share: float | Tensor = 1.0
        self._count: int | Tensor = 0
        past = getattr(cache, _ATTRIBUTE, None)
        start = _length(cache, past)
        if start:
            if past is None or past.length != start:
                raise StudioError(
                    "failed",
                    "This cache was filled or cut without this mix's router: its memory is missing.",
                    "Read the whole prompt again with an empty cache.",
                )
            self._past, self._before = past, past.sums

    def plus_mean(self, key: Hashable, local: Tensor, carried: Tensor, shape: tuple[int, int]) -> Tensor:
        """``local`` plus the running mean of ``carried`` over the prefix, this token included, padding left
        out.

        Both [B*T, n], float32, and so is the result; ``shape`` is (B, T). ``key`` names the caller's
        memory: the sum is kept for the next forward.
        """
        if self._shape is None:
            self._begin(*shape, carried.device)
        elif self._shape != shape:
            raise StudioError(
                "failed",
                "A projection reads its tokens in another order than the model does.",
                "Use a router with local input.",
            )
        if key in self._sums:  # called again in this pass, as where layers are shared: a memory of its own
            key = (key, len(self._sums))
        before = self._before.get(key)
        if before is None and self._past is not None:
            raise StudioError(
                "failed",
                "This cache was filled under another mix.",
                "Read the prompt again with an empty cache.",
            )
        if self._keep is not None:
            carried = carried * self._keep
        if shape[1] == 1:
            summed = carried if before is None else carried + before
            self._sums[key] = summed
        else:
            running = carried.view(*shape, -1).cumsum(1)
            if before is not None:
                running = running + before.unsqueeze(1)
            self._sums[key] = running[:, -1].clone()  # not a view that keeps the whole prompt alive
            summed = running.view(carried.shape)
        if isinstance(self._share, float):
            return torch.add(local, summed, alpha=self._share)
        return torch.addcmul(local, summed, self._share)

    def _begin(self, rows: int, tokens: int, device: torch.device) -> None:
        """Set ``_keep`` [B*T, 1] (None: no padding) and ``_share``, one over the count of tokens so far."""
        self._shape = (rows, tokens)
        seen = self._seen(tokens)
        before = self._past.count if self._past is not None else 0
        if seen is None and isinstance(before, int):
            self._count = before + tokens
            if tokens == 1:
                self._share = 1.0 / self._count
            else:
                counts = torch.arange(before + 1, self._count + 1, device=device, dtype=torch.float32)
                self._share = counts.reciprocal().repeat(rows).unsqueeze(-1)
            return
        if seen is not None:
            self._keep = seen.reshape(-1, 1)
        else:
            seen = torch.ones(rows, tokens, device=device)
        counts = seen.cumsum(1) + (before if isinstance(before, int) else before.unsqueeze(1))
        self._count = counts[:, -1]
        self._share = counts.clamp(min=1).reciprocal().view(-1, 1)

    def _seen(self, tokens: int) -> Tensor | None:
        """[B, T]: 1 for the tokens of this pass, 0 for padding; None when there is no padding."""
        if self._mask is None or (tokens == 1 and self._mask.shape[0] == 1):  # a single token is not padding
            return None
        if self._mask.dim() != 2:
            raise StudioError(
                "failed",
                "A router with context needs a plain attention mask of rows by tokens.",
                "Pass attention_mask with two dimensions.",
            )
        now = self._mask[:, -tokens:].bool()
        return None if bool(now.all()) else now.float()

    def close(self, cache: Any) -> None:
        """The forward is over: leave the memory with the cache that now holds the keys and values."""
        if cache is None or self._shape is None:
            return
        length = (self._past.length if self._past is not None else 0) + self._shape[1]
        there = getattr(cache, _ATTRIBUTE, None)  # another bank on this model may have left its sums already
        others = there.sums if there is not None and there.length == length else {}
        _attach(cache, Memory(length, self._count, others | self._sums))

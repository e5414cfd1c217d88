"""Tokens a second at each of several gates: decoding passes of one row, in turns, so that what else the
machine does falls on all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Generator, Sequence

import torch

from engine.lora import Bank, Gates
from engine.runtime.base import Base
from engine.training.play import play

__all__ = ["PASSES", "measure_speeds"]

PASSES = 9
"""Timed at each of the gates, after one that reads the prompt and one untimed."""

PROMPT = 16
"""Tokens that are read at most: what is timed is writing."""


def measure_speeds(
    base: Base, bank: Bank, gates: Sequence[Gates], prompt: Sequence[int]
) -> Generator[None, None, list[float]]:
    """For each of ``gates`` one over the median seconds of a pass that writes one token; yields after every
    round."""
    caches = [base.new_cache() for _ in gates]
    texts = [torch.tensor([list(prompt[:PROMPT])], device=base.device) for _ in gates]
    seconds: list[list[float]] = [[] for _ in gates]
    for _ in range(2 + PASSES):
        for place, one in enumerate(gates):
            began = time.perf_counter()
            with torch.no_grad(), play(bank, one):
                token = int(base.read(texts[place], caches[place]).argmax())
            seconds[place].append(time.perf_counter() - began)
            texts[place] = torch.tensor([[token]], device=base.device)
        yield
    return [1 / statistics.median(passes[2:]) for passes in seconds]

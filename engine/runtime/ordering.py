"""What an adapter says on data, gathered so that it can be put in that order."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import torch

from engine.lora import attach, read_adapter
from engine.lora.weighing import Gathering, Moments
from engine.messages import Done, OrderRanks, Said
from engine.runtime.base import Base
from engine.runtime.scoring import read_examples
from engine.training.play import play

__all__ = ["gather"]

ROWS = 512
"""More would say hardly more: what is gathered of a projection are rank x rank numbers."""


def gather(
    base: Base, request: OrderRanks, folder: str, data: str, out: str
) -> Generator[Said | None, None, Done]:
    """Read the file ``data``, or ROWS rows spread evenly over it, under the adapter in ``folder``, and write
    its ``Moments`` to the file ``out``. Yields after every row. DataError for data that cannot be used.
    """
    examples = read_examples(base, data)
    count = min(ROWS, len(examples))
    chosen = [examples[place * len(examples) // count] for place in range(count)]
    adapter, name = read_adapter(folder), request.adapter
    bank = attach(base.model, {name: adapter}, dtype=base.model.dtype)
    try:
        gathering, gates = Gathering(base.model, adapter), bank.new_gates({name: 1.0})
        for number, example in enumerate(chosen, 1):
            ids = torch.tensor([example.ids], device=base.device)
            with torch.no_grad(), play(bank, gates), gathering.listening():
                base.model(input_ids=ids, use_cache=False)
            yield Said(text=f"Listening to {name}: row {number:,} of {count:,}")
    finally:
        bank.detach()
    Moments(gathering.sums, count, len(examples)).save(Path(out))
    return Done(path=out)

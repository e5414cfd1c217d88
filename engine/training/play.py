"""Let a bank be heard during one forward pass, so that several banks may take turns on one model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engine.lora import Bank, Gates, Rows

__all__ = ["play"]


@contextmanager
def play(bank: Bank | None, gates: Gates | Rows | None) -> Iterator[None]:
    """Inside the block ``bank`` plays ``gates``; afterwards it is silent. No bank: the base alone."""
    if bank is None:
        yield
        return
    bank.gates = gates
    try:
        yield
    finally:
        bank.gates = None

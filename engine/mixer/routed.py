"""One forward pass of a bank under a router, and who was heard in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engine.lora import Bank, Gates
from engine.mixer.collapse import RoutingWatch
from engine.mixer.losses import Routing, routing
from engine.training.play import play
from engine.training.text import Batch, completion_logits

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["routed", "usage"]


def routed(model: PreTrainedModel, bank: Bank, gates: Gates, batch: Batch) -> tuple[Tensor, Routing]:
    """Logits [learned tokens, vocabulary] of ``batch`` under ``gates``, which have a tape, and how its real
    tokens were routed. Both keep their gradient."""
    tape = gates.tape
    assert tape is not None
    with play(bank, gates):
        logits = completion_logits(model, batch)
    return logits, routing(tape.gates.pop(), batch.real)


@torch.no_grad()
def usage(
    model: PreTrainedModel,
    bank: Bank,
    gates: Gates,
    batches: Iterable[Batch],
    watch: RoutingWatch | None = None,
) -> dict[str, float]:
    """Mean part of the weight of each of the router's experts over the tokens of ``batches``, which
    ``watch`` sees too."""
    assert gates.router is not None
    total, tokens = torch.zeros(len(gates.router.experts)), 0
    for batch in batches:
        seen = routed(model, bank, gates, batch)[1]
        if watch is not None:
            watch.note(seen)
        total += seen.load.cpu() * batch.read
        tokens += batch.read
    return dict(zip(gates.router.experts, (total / tokens).tolist(), strict=True))

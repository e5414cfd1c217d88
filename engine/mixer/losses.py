"""What a router is trained on beside the task: the Specialization Balance Loss, and the numbers that are
watched.

    L_RSL = balance * sum_e mean(p_e) * share(e) - entropy * mean(H(p)),      H(p) = - sum p log p

after LoRA-Mixer (arXiv 2507.00029): mean(p_e) is an expert's mean weight, share(e) the part of the tokens
that it leads (no gradient). The printed sign of the entropy term flattens the routing although the text
claims that it sharpens it, so the weight is signed and data decide: positive flattens, as printed; negative
sharpens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Routing", "routing", "specialization_balance_loss"]


@dataclass(frozen=True)
class Routing:
    """How the tokens of a batch were routed, averaged over projections. Tensors keep their gradient.

    ``load`` and ``share`` are [experts]: the mean weight, and the part of the tokens led; ``entropy`` in
    nats; ``balance`` is sum_e mean(p_e) share(e), averaged over projections: 1/E when even, 1 when one
    expert has all.
    """

    load: Tensor
    share: Tensor
    entropy: Tensor
    balance: Tensor


def routing(gates: Tensor, mask: Tensor | None = None) -> Routing:
    """Statistics of ``gates`` [B, T, modules, E] (a tape's) over the tokens where ``mask`` [B, T] is not
    zero."""
    p = gates.flatten(0, 1) if mask is None else gates[mask.bool()]
    # Bounded below, because the slope of p log p has no end at 0, where a masked or beaten expert ends up.
    entropy = -(p * p.clamp_min(torch.finfo(p.dtype).tiny).log()).sum(-1).mean()
    load = p.mean(0)
    with torch.no_grad():
        share = torch.nn.functional.one_hot(p.argmax(-1), p.shape[-1]).to(p.dtype).mean(0)
    balance = (load * share).sum(-1).mean()
    return Routing(load.mean(0), share.mean(0), entropy, balance)


def specialization_balance_loss(seen: Routing, balance_weight: float, entropy_weight: float) -> Tensor:
    """L_RSL of a batch. ``entropy_weight`` is signed: positive flattens (as printed), negative sharpens."""
    return balance_weight * seen.balance - entropy_weight * seen.entropy

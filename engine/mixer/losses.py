"""What a router is trained on beside the task: the Specialization Balance Loss, the entropy band, and the
numbers that are watched.

    L_RSL  = balance * sum_e mean(p_e) * share(e) - entropy * mean(H(p)),      H(p) = - sum p log p
    L_band = relu((upper - lower) - (min(H(mean p), upper log E) - max(mean(H(p)), lower log E)) / log E)

L_RSL after LoRA-Mixer (arXiv 2507.00029): mean(p_e) is an expert's mean weight, share(e) the part of the
tokens that it leads (no gradient). The printed sign of the entropy term flattens the routing although the
text claims that it sharpens it, so the weight is signed and data decide: positive flattens, as printed;
negative sharpens. L_band after HMoRA: each token decided, all of them together even, neither beyond its
bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Routing", "entropy_band_loss", "routing", "specialization_balance_loss"]


@dataclass(frozen=True)
class Routing:
    """How the tokens of a batch were routed. Tensors keep their gradient.

    ``load`` and ``share`` are [experts]: the mean part of the weight, and the part of the tokens led, over
    all projections. The others are [modules], one per projection: ``balances`` is sum_e mean(p_e) share(e),
    1/E when even, 1 when one expert has all; ``entropies`` the mean entropy of a token's weights and
    ``evenness`` the entropy of the mean weights, in nats; ``choices`` how many experts have a say.
    """

    load: Tensor
    share: Tensor
    balances: Tensor
    entropies: Tensor
    evenness: Tensor
    choices: Tensor

    @property
    def balance(self) -> Tensor:
        return self.balances.mean()

    @property
    def entropy(self) -> Tensor:
        return self.entropies.mean()

    @property
    def spread(self) -> Tensor:
        """How much a token decides: the information in nats between token and expert, 0 where the weights
        are the same for every token."""
        return (self.evenness - self.entropies).mean()


def routing(gates: Tensor, mask: Tensor | None = None) -> Routing:
    """Statistics of ``gates`` [B, T, modules, E] (a tape's) over the tokens where ``mask`` [B, T] is not
    zero.

    Weights count as parts of their sum, which for a softmax is 1 anyway.
    """
    p = gates.flatten(0, 1) if mask is None else gates[mask.bool()]
    p = p / p.sum(-1, keepdim=True).clamp_min(torch.finfo(p.dtype).tiny)
    load = p.mean(0)
    with torch.no_grad():
        share = torch.nn.functional.one_hot(p.argmax(-1), p.shape[-1]).to(p.dtype).mean(0)
        choices = (load > 0).sum(-1)
    return Routing(
        load.mean(0), share.mean(0), (load * share).sum(-1), _entropy(p).mean(0), _entropy(load), choices
    )


def _entropy(p: Tensor) -> Tensor:
    # Bounded below, because the slope of p log p has no end at 0, where a masked or beaten expert ends up.
    return -(p * p.clamp_min(torch.finfo(p.dtype).tiny).log()).sum(-1)


def specialization_balance_loss(seen: Routing, balance_weight: float, entropy_weight: float) -> Tensor:
    """L_RSL of a batch. ``entropy_weight`` is signed: positive flattens (as printed), negative sharpens."""
    return balance_weight * seen.balance - entropy_weight * seen.entropy


def entropy_band_loss(seen: Routing, upper: float = 0.98, lower: float = 0.5) -> Tensor:
    """L_band of a batch, the mean over projections that have a choice; 0 once each token's entropy is below
    ``lower`` log E and that of the mean weights above ``upper`` log E."""
    most = seen.choices.clamp_min(2).to(seen.entropies.dtype).log()
    even = torch.minimum(seen.evenness, upper * most)
    sharp = torch.maximum(seen.entropies, lower * most)
    lacking = torch.relu((upper - lower) - (even - sharp) / most)
    return (lacking * (seen.choices > 1)).mean()

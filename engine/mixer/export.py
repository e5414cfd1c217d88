"""A mix as one plain LoRA: each expert's weight folded into its factors, and how far that is from the mix.

    sum_e g_e s_e B_e A_e x = [g_1 s_1 B_1 ... g_K s_K B_K] [A_1; ...; A_K] x

Exact where the weights g do not depend on the text. Where a router decides token by token, no LoRA can say
the same: g is then the mean over data, and what that costs is measured with ``Difference``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.formats.errors import AdapterError
from engine.lora import Adapter, Bank, Factors, Gates, Tape, svd_order
from engine.lora.landing import land, land_replaced
from engine.mixer.router import Router
from engine.training.play import play
from engine.training.text import Batch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Difference", "MeanWeights", "Weights", "cut", "fold", "is_static"]

Weights = Mapping[str, Mapping[str, float]]
"""{projection: {expert: its weight there}}"""


def is_static(router: Router) -> bool:
    """Whether the router weighs every token of every text alike."""
    free = [name for name in router.experts if name not in router.muted | router.locked]
    alone = len(free) <= 1 and router.activation == "softmax"
    return alone or not any(bool(tensor.any()) for tensor in router.weights)


class MeanWeights:
    """The mean of what ``gates``, which have a router, give each expert on each projection."""

    def __init__(self, gates: Gates) -> None:
        assert gates.router is not None
        self._gates = gates
        self._experts = tuple(gates.router.experts)
        self._modules: Sequence[str] = ()
        self._sum: Tensor | float = 0.0
        self._tokens = 0

    @torch.no_grad()
    def read(self, model: PreTrainedModel, bank: Bank, batch: Batch) -> None:
        """Add the real tokens of ``batch``: one forward pass."""
        tape = self._gates.tape = Tape()
        with play(bank, self._gates):
            model(input_ids=batch.ids, use_cache=False)
        self._modules = tape.modules
        self._sum = self._sum + tape.gates[-1][batch.real].sum(0, dtype=torch.float64)
        self._tokens += batch.read

    def weights(self) -> Weights:
        """Faders included; null, which says nothing, left out."""
        mean = torch.as_tensor(self._sum / self._tokens).tolist()
        faders = self._gates.weights
        return {
            module: {
                name: part * faders[name]
                for name, part in zip(self._experts, row, strict=True)
                if name in faders
            }
            for module, row in zip(self._modules, mean, strict=True)
        }


def fold(bank: Bank, weights: Weights, name: str, base: str) -> Adapter:
    """One LoRA that says what ``bank`` says under constant ``weights``: exact, of the rank of all that speak.

    Biases are folded too. AdapterError for a DoRA, and for an expert that replaces parameters of the base.
    """
    experts = {expert: bank.read(expert) for expert in bank.experts}
    landed = {expert: land(expert, adapter, bank.model) for expert, adapter in experts.items()}
    parts: dict[str, list[tuple[float, Factors]]] = {}
    for path, here in weights.items():
        for expert, weight in here.items():
            if weight and path in landed[expert]:
                item = experts[expert].factors[landed[expert][path]]
                parts.setdefault(path, []).append((weight, item))
    for expert in {expert for here in weights.values() for expert, weight in here.items() if weight}:
        _check(expert, experts[expert], bank.model)
    if not parts:
        raise AdapterError(
            "No expert of this mix speaks, so there is nothing to export.", "Train its router."
        )
    biased = any(item.bias is not None for items in parts.values() for _, item in items)
    if biased and any(item.embedding for items in parts.values() for _, item in items):
        raise AdapterError(
            "One expert has biases and one adapts the embeddings; PEFT knows no LoRA with both.",
            "Export the mix as a folder, or leave one of them out of it first.",
        )
    factors = {path: _stacked(items, biased) for path, items in parts.items()}
    rank = max(item.rank for item in factors.values())
    config = replace(
        next(iter(experts.values())).config,
        rank=rank,
        alpha=float(rank),
        rslora=False,
        rank_pattern=(),
        alpha_pattern=(),
        base=base,
        targets=tuple(factors),
        exclude=None,
        layers=None,
        layers_pattern=None,
        dora=False,
        lora_bias=biased,
        bias="none",
        saved=(),
        tied=False,
    )
    return Adapter(name, config, factors)


def cut(adapter: Adapter, rank: int) -> Adapter:
    """The best approximation of ``adapter`` at ``rank``, projection by projection (see ``svd_order``)."""
    if rank < 1:
        raise AdapterError(f"An adapter cannot be cut to rank {rank}.", "Give a rank of 1 or more.")
    return svd_order(adapter).cut(rank)


@dataclass
class Difference:
    """How far a LoRA's answers are from the mix's, over the learned tokens of what was read.

    ``kl`` is the mean KL(mix || LoRA) in nats per token, ``logits`` the relative error |mix - LoRA| / |mix|.
    """

    tokens: int = 0
    nats: float = 0.0
    off: float = 0.0
    whole: float = 0.0

    @property
    def kl(self) -> float:
        return self.nats / self.tokens

    @property
    def logits(self) -> float:
        return float((self.off / self.whole) ** 0.5)

    def read(self, mix: Tensor, lora: Tensor) -> None:
        """Add learned tokens: their logits [tokens, vocabulary] under both."""
        mix, lora = mix.float(), lora.float()
        self.tokens += len(mix)
        self.nats += max(0.0, float(divergence(mix, lora))) * len(mix)
        self.off += float((mix - lora).square().sum(dtype=torch.float64))
        self.whole += float(mix.square().sum(dtype=torch.float64))


def divergence(mix: Tensor, lora: Tensor) -> Tensor:
    """Mean KL(mix || lora) in nats over tokens; logits [tokens, vocabulary]."""
    return functional.kl_div(
        lora.log_softmax(-1), mix.log_softmax(-1), reduction="batchmean", log_target=True
    )


def _check(name: str, adapter: Adapter, model: nn.Module) -> None:
    """AdapterError for what has no place in a LoRA that others share."""
    if any(item.magnitude is not None for item in adapter.factors.values()):
        raise AdapterError(
            f"{name} is a DoRA: it also scales what the base says, which no plain LoRA can do.",
            "Export the mix as a folder, or train it with a plain LoRA in its place.",
        )
    if land_replaced(name, adapter, model):
        raise AdapterError(
            f"{name} replaces parameters of the base, which no plain LoRA can do.",
            "Export the mix as a folder, or train it without that expert.",
        )


def _stacked(parts: Sequence[tuple[float, Factors]], biased: bool) -> Factors:
    """One module's experts side by side, their weights and scales folded into B."""
    A = torch.cat([item.A.float() for _, item in parts])
    B = torch.cat([item.B.float() * (weight * item.scale) for weight, item in parts], dim=1)
    bias = B.new_zeros(len(B)) if biased else None
    for weight, item in parts:
        if bias is not None and item.bias is not None:
            bias += item.bias.float() * (weight * item.scale)
    return Factors(A, B, 1.0, bias=bias, embedding=parts[0][1].embedding)

"""Training a router over frozen experts: task loss plus the Specialization Balance Loss (arXiv
2507.00029)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from engine.formats.dataset import Row, fingerprint
from engine.formats.errors import StudioError
from engine.formats.files import atomic_folder
from engine.formats.mix_file import Made
from engine.formats.studio_file import check_ranks
from engine.lora import Adapter, Bank, Tape, at_rank, attach
from engine.messages import Activation, RouterInput, RouterShare
from engine.mixer.collapse import RoutingWatch
from engine.mixer.losses import Routing, entropy_band_loss, routing, specialization_balance_loss
from engine.mixer.mix_file import save_mix
from engine.mixer.own_gate import Gate, read_gate, router_of_gates
from engine.mixer.prototypes import prototypes
from engine.mixer.routed import routed, usage
from engine.mixer.router import Router
from engine.training import Loss
from engine.training.text import Batch, collate, completion_loss, encode, shuffled

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["RouterTask"]

USAGE_BATCHES = 8
"""Batches of the data that ``save`` reads once more to say how much each expert is used."""


class RouterTask:
    """A Task: a router learns which expert shall speak at each token and projection; the rest is frozen.

    At most ``max_examples`` of ``rows`` are used, drawn with ``seed``. ``gates`` "hard" lets the first
    expert alone speak, its gradient straight through to all. ``balance_weight`` and the signed
    ``entropy_weight`` are those of the Specialization Balance Loss, ``band_weight`` that of the entropy
    band, over every real token.

    ``start`` is "zero"; "prototypes", from the experts' own factors, whose absolute logits need a softmax;
    or "gates", from those in ``gate_folders`` (expert: adapter folder). Without rows nothing can be trained,
    but ``save`` writes the mix as it starts. With ``extend`` that router's columns stay as they are and only
    those of the experts that it does not know are trained; its own settings hold. Experts in ``ranks`` are
    cut to that rank.

    The bank stays on the model, silent, until ``close``. Raises AdapterError when an expert does not fit,
    DataError for a row of more than ``max_length`` tokens.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        rows: Sequence[Row],
        experts: Mapping[str, Adapter],
        *,
        router_input: RouterInput = "context",
        router_share: RouterShare = "projection",
        activation: Activation = "softmax",
        gates: Literal["soft", "hard"] = "soft",
        start: Literal["zero", "prototypes", "gates"] = "zero",
        gate_folders: Mapping[str, Path] | None = None,
        extend: Router | None = None,
        ranks: Mapping[str, int] = MappingProxyType({}),
        null_expert: bool = True,
        temperature: float = 1.0,
        balance_weight: float = 0.01,
        entropy_weight: float = 0.0,
        band_weight: float = 0.0,
        max_examples: int = 2000,
        batch_size: int = 32,
        max_length: int = 256,
        seed: int = 0,
        name: str = "mix",
        base: str = "",
    ) -> None:
        model.requires_grad_(False).eval()
        self.model = model
        self.name = name
        self.base = base
        self.batch_size = batch_size
        self.balance_weight = balance_weight
        self.entropy_weight = entropy_weight
        self.band_weight = band_weight
        chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:max_examples]
        used = [rows[number] for number in chosen.tolist()]
        self.examples = encode(tokenizer, used, max_length)
        self.story = {
            "examples": len(used),
            "data": fingerprint(used),
            "seed": seed,
            "start": start,
            "gates": gates,
            "balance weight": balance_weight,
            "entropy weight": entropy_weight,
            "band weight": band_weight,
            "cut to rank": dict(ranks),
        }
        check_ranks(ranks, {name: (adapter.low, adapter.rank) for name, adapter in experts.items()})
        experts = {**experts, **{name: at_rank(experts[name], rank) for name, rank in ranks.items()}}
        brought = {name: read_gate(folder) for name, folder in (gate_folders or {}).items()}
        self.bank = attach(model, experts, dtype=model.dtype)
        try:
            self.router = _router(
                self.bank,
                start,
                brought,
                extend,
                input=router_input,
                null=null_expert,
                temperature=temperature,
                share=router_share,
                activation=activation,
            )
        except StudioError:
            self.bank.detach()
            raise
        self._made: Made = "extended" if extend is not None else "trained"
        self._start = start
        self._first = [V.detach().clone() for V in self.router.V]
        self.router.to(model.device)
        self._playing = self.router.play("hard") if gates == "hard" else self.router
        self.gates = self.bank.new_gates(dict.fromkeys(experts, 1.0), router=self._playing)
        self.gates.tape = Tape()
        self.watch = RoutingWatch(self.router)

    def parameters(self) -> dict[str, Tensor]:
        return dict(zip(self.router.paths, self.router.V, strict=True))

    def batches(self, order: torch.Generator) -> list[list[int]]:
        return shuffled(len(self.examples), self.batch_size, order)

    def loss(self, numbers: list[int]) -> Loss:
        """Metrics: the task's own loss, the routing's entropy and spread in nats, ``load.EXPERT`` (mean part
        of the weight). ``watch`` follows them."""
        batch = self._batch(numbers)
        logits, seen = self._routed(batch)
        self.watch.note(seen)
        task_loss = completion_loss(logits, batch)
        value = task_loss + specialization_balance_loss(seen, self.balance_weight, self.entropy_weight)
        if self.band_weight:
            value = value + self.band_weight * entropy_band_loss(seen)
        metrics = {
            "task_loss": task_loss.item(),
            "entropy": seen.entropy.item(),
            "spread": seen.spread.item(),
        }
        load = zip(self.router.experts, seen.load.tolist(), strict=True)
        return Loss(value, batch.read, metrics | {f"load.{name}": part for name, part in load})

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the mix as a folder, its experts inside. ``usage`` is each expert's part of the soft
        weights, ``warning`` a sentence where the routing has collapsed; without rows neither is known."""
        watch = RoutingWatch(self.router)
        usage = self.usage(watch) if self.examples else {}
        warning = watch.warning(final=True)
        with atomic_folder(folder, doing="saving the mix") as work:
            save_mix(
                work,
                self.router,
                self.bank,
                name=self.name,
                base=self.base,
                usage=usage,
                trained=self.story,
                made=self._how(),
                warning=warning,
            )
        return {"usage": usage, "warning": warning, "router_parameters": self.router.size}

    def usage(self, watch: RoutingWatch | None = None) -> dict[str, float]:
        """Mean part of the soft weights of each expert over the tokens of the first batches of the data."""
        gates = self.bank.new_gates(dict.fromkeys(self.bank.experts, 1.0), router=self.router)
        gates.tape = Tape()
        count = min(len(self.examples), USAGE_BATCHES * self.batch_size)
        numbers = [
            range(start, min(count, start + self.batch_size)) for start in range(0, count, self.batch_size)
        ]
        return usage(self.model, self.bank, gates, map(self._batch, numbers), watch)

    def close(self) -> None:
        """Take the bank off the model."""
        self.bank.detach()

    def _routed(self, batch: Batch) -> tuple[Tensor, Routing]:
        """One pass; of hard gates the statistics are those of the weights that they choose by."""
        if self._playing is self.router:
            return routed(self.model, self.bank, self.gates, batch)
        chances: list[Tensor] = []
        self._playing.chances = chances
        logits, seen = routed(self.model, self.bank, self.gates, batch)
        if chances:
            shape = (*batch.ids.shape, -1, len(self.router.experts))
            seen = routing(torch.cat([p.view(shape) for p in chances], dim=2), batch.real)
        return logits, seen

    def _how(self) -> Made:
        """How the router came to be: a start that nothing has moved since is all there was."""
        now = zip(self.router.V, self._first, strict=True)
        still = all(torch.equal(V.detach().cpu(), first.cpu()) for V, first in now)
        return self._start if still and self._start != "zero" else self._made

    def _batch(self, numbers: Sequence[int]) -> Batch:
        return collate([self.examples[number] for number in numbers], self.model.device)


def _router(
    bank: Bank, start: str, brought: Mapping[str, Gate], extend: Router | None, **settings: Any
) -> Router:
    """The router as it is before the first step."""
    if extend is not None:
        return extend.extended(bank.layout(), bank.experts, bank.groups())
    if start == "zero":
        return Router(bank.layout(), bank.experts, groups=bank.groups(), **settings)
    if settings.pop("activation") != "softmax":
        raise StudioError(
            "usage",
            "Prototypes and own gates are compared with each other, which a sigmoid does not do.",
            "Choose softmax, or start from zero.",
        )
    if start == "prototypes":
        return prototypes(bank, **settings)
    missing = [name for name in bank.experts if name not in brought]
    if missing:
        raise StudioError(
            "usage", f"{missing[0]} brings no gate along.", "Train its gate on data of its own task first."
        )
    return router_of_gates(bank, brought, **settings)

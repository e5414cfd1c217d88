"""Joint training: experts and router from one run, one data set per expert (LoRA-Mixer, arXiv 2507.00029).

    hard stage    g = onehot(d): a row of domain d is read by expert d alone, in every layer
    soft stage    g = router(x), and beta * sum_e ||theta_e - theta_e0||^2 on top of the router's losses

theta_e0 is what an expert was when the hard stage ended. Experts train in both stages, the router in the soft
one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from engine.formats.dataset import Row, fingerprint
from engine.formats.errors import AdapterError, StudioError
from engine.formats.files import atomic_folder
from engine.lora import Adapter, Tape, attach, new_adapter
from engine.messages import RouterInput, RouterShare
from engine.mixer.collapse import RoutingWatch
from engine.mixer.losses import Routing, entropy_band_loss, specialization_balance_loss
from engine.mixer.mix_file import save_mix
from engine.mixer.owners import Owners
from engine.mixer.routed import routed, usage
from engine.mixer.router import Router
from engine.training import Loss
from engine.training.text import Batch, collate, completion_loss, encode, shuffled

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["JointTask"]

USAGE_EXAMPLES = 256
"""Examples that ``save`` reads once more to say how much each expert is used."""

HARD, SOFT = 1, 2
UNTRAINED = (
    "It was ended in the hard stage: every expert knows its domain, but the router has learned nothing."
)


class JointTask:
    """A Task: every expert learns its own domain, and then a router learns with them who shall speak.

    ``rows`` has the examples of each expert, by its name. An expert begins as ``start`` has it, else fresh:
    of ``rank``, on ``targets``, as in LoraTask. The first ``hard_share`` of the ``steps`` are hard.
    ``learning_rate`` is what the loop is told, and the experts'; the router has its own. The losses
    are those of RouterTask, in the soft stage only; ``preserve_weight`` is the paper's beta. The bank stays
    on the model, silent, until ``close``. AdapterError for an expert that does not fit, DataError for a row
    of more than ``max_length`` tokens.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        rows: Mapping[str, Sequence[Row]],
        *,
        start: Mapping[str, Adapter] = MappingProxyType({}),
        rank: int = 8,
        alpha: float | None = None,
        targets: Sequence[str] = (),
        steps: int = 600,
        hard_share: float = 0.6,
        learning_rate: float = 3e-3,
        router_learning_rate: float = 1e-2,
        router_input: RouterInput = "context",
        router_share: RouterShare = "projection",
        null_expert: bool = True,
        batch_size: int = 32,
        balance_weight: float = 0.01,
        entropy_weight: float = 0.0,
        band_weight: float = 0.0,
        preserve_weight: float = 0.01,
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
        self.rate = router_learning_rate / learning_rate
        self.balance_weight = balance_weight
        self.entropy_weight = entropy_weight
        self.band_weight = band_weight
        self.preserve_weight = preserve_weight
        self.hard_steps = _hard_steps(steps, hard_share)
        self.stage = HARD if self.hard_steps else SOFT
        self.domains = tuple(rows)
        encoded = [encode(tokenizer, rows[domain], max_length) for domain in self.domains]
        self.examples = [(example, place) for place, part in enumerate(encoded) for example in part]
        fresh = partial(new_adapter, model, rank, alpha, targets)
        self.bank = attach(model, _experts(self.domains, start, fresh, seed, base), trainable=True)
        try:
            self._build_gates(router_input, router_share, null_expert)
        except StudioError:
            self.bank.detach()
            raise
        self.anchor: dict[str, Tensor] = {}
        self.story = {
            "examples": len(self.examples),
            "data": {domain: fingerprint(rows[domain]) for domain in self.domains},
            "begun from": {domain: start[domain].sha256 for domain in self.domains if domain in start},
            "steps planned": steps,
            "of them hard": self.hard_steps,
            "learning rate": learning_rate,
            "learning rate of the router": router_learning_rate,
            "preserve weight": preserve_weight,
            "seed": seed,
        }

    def _build_gates(self, input: RouterInput, share: RouterShare, null: bool) -> None:
        """The gates of both stages, over the same experts."""
        layout = self.bank.layout()
        groups = self.bank.groups() if share != "projection" else ()
        self.router = Router(layout, self.domains, input, null, share=share, groups=groups)
        self.router.to(self.model.device)
        self.owners = Owners(layout, self.router.experts)
        whole = dict.fromkeys(self.domains, 1.0)
        self.gates = self.bank.new_gates(whole, router=self.router)
        self.hard_gates = self.bank.new_gates(whole, router=self.owners)
        self.gates.tape, self.hard_gates.tape = Tape(), Tape()

    def parameters(self) -> dict[str, Tensor]:
        return {**self.bank.named_parameters(), **self._router_parameters()}

    def batches(self, order: torch.Generator) -> list[list[int]]:
        return shuffled(len(self.examples), self.batch_size, order)

    def stages(self) -> tuple[int, ...]:
        return (self.hard_steps,)

    def rates(self) -> dict[str, float]:
        return dict.fromkeys(self._router_parameters(), self.rate)

    def at_step(self, step: int) -> None:
        """Enter the soft stage when it is time, and keep the experts as they are then."""
        if step < self.hard_steps:
            return
        self.stage = SOFT
        if not self.anchor:
            self.anchor = {n: p.detach().clone() for n, p in self.bank.named_parameters().items()}

    def state(self) -> dict[str, Tensor]:
        return self.anchor

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self.anchor = {name: tensor.to(self.model.device) for name, tensor in state.items()}
        self.stage = SOFT

    def loss(self, numbers: Sequence[int]) -> Loss:
        """Metrics: the task's own loss, also per domain; the stage (1 hard, 2 soft); how much the experts
        are held back; the routing's entropy in nats and ``load.EXPERT`` (mean weight)."""
        batch, owners = self._batch(numbers)
        self.owners.rows = owners
        gates = self.gates if self.stage == SOFT else self.hard_gates
        logits, seen = routed(self.model, self.bank, gates, batch)
        tokens = completion_loss(logits, batch, reduction="none")
        value = tokens.mean()
        metrics = {"task_loss": value.item(), "stage": float(self.stage), "entropy": seen.entropy.item()}
        if self.stage == SOFT:
            held = self.preserve_weight * self._moved()
            metrics["preserve"] = held.item()
            value = value + held + self._routing_loss(seen)
        metrics |= _by_domain(tokens.detach(), batch, owners, self.domains)
        load = zip(self.router.experts, seen.load.tolist(), strict=True)
        return Loss(value, batch.read, metrics | {f"load.{name}": share for name, share in load})

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the mix as a folder, its experts inside as ordinary adapters. ``usage`` is each expert's
        share of the weights."""
        watch = RoutingWatch(self.router)
        usage = self.usage(watch)
        warning = watch.warning(final=True) if self.stage == SOFT else UNTRAINED
        with atomic_folder(folder, doing="saving the mix") as work:
            save_mix(
                work,
                self.router,
                self.bank,
                name=self.name,
                base=self.base,
                usage=usage,
                trained=self.story,
                made="joint",
                warning=warning,
            )
        return {"usage": usage, "warning": warning, "router_parameters": self.router.size}

    def usage(self, watch: RoutingWatch | None = None) -> dict[str, float]:
        """Mean part of the weight of each expert over the tokens of some examples of all domains."""
        numbers = range(0, len(self.examples), -(-len(self.examples) // USAGE_EXAMPLES))
        batches = (numbers[at : at + self.batch_size] for at in range(0, len(numbers), self.batch_size))
        read = (self._batch(part)[0] for part in batches)
        return usage(self.model, self.bank, self.gates, read, watch)

    def close(self) -> None:
        """Take the bank off the model."""
        self.bank.detach()

    def _router_parameters(self) -> dict[str, Tensor]:
        return {f"{path}.V": V for path, V in zip(self.router.paths, self.router.V, strict=True)}

    def _batch(self, numbers: Sequence[int]) -> tuple[Batch, Tensor]:
        """The examples of these numbers, and the place of each one's domain [rows]."""
        chosen = [self.examples[number] for number in numbers]
        owners = torch.tensor([place for _, place in chosen], device=self.model.device)
        return collate([example for example, _ in chosen], self.model.device), owners

    def _routing_loss(self, seen: Routing) -> Tensor:
        balance = specialization_balance_loss(seen, self.balance_weight, self.entropy_weight)
        return balance + self.band_weight * entropy_band_loss(seen) if self.band_weight else balance

    def _moved(self) -> Tensor:
        """sum_e ||theta_e - theta_e0||^2, summed in the bank's order: a checkpoint keeps none."""
        now = self.bank.named_parameters()
        return torch.stack([(theta - self.anchor[name]).square().sum() for name, theta in now.items()]).sum()


def _hard_steps(steps: int, share: float) -> int:
    if not 0 <= share < 1:
        raise StudioError(
            "usage",
            "The hard stage can be all but the whole of a joint training.",
            "A share of 0.6 is usual.",
        )
    return round(steps * share)


def _experts(
    names: Sequence[str],
    start: Mapping[str, Adapter],
    fresh: Callable[..., Adapter],
    seed: int,
    base: str,
) -> dict[str, Adapter]:
    """What each expert is before the first step: a plain LoRA, since training leaves no order of its columns.
    Its card will name ``base``."""
    experts = {}
    for place, name in enumerate(names):
        adapter = start[name] if name in start else fresh(seed=seed + place)
        if adapter.replaced:
            raise AdapterError(
                f"{name} replaces parameters of the base, which cannot be trained further here.",
                "Start from a plain LoRA, or fresh.",
            )
        experts[name] = replace(
            adapter,
            name=name,
            config=replace(adapter.config, base=base),
            factors={path: replace(item, nested=False) for path, item in adapter.factors.items()},
            kind="lora",
            low=1,
            weighed=False,
        )
    return experts


def _by_domain(tokens: Tensor, batch: Batch, owners: Tensor, domains: Sequence[str]) -> dict[str, float]:
    """``loss.DOMAIN``: nats per learned token of each domain that the batch has rows of."""
    of = owners.repeat_interleave(batch.learned.sum(1))
    return {
        f"loss.{domain}": tokens[of == place].mean().item()
        for place, domain in enumerate(domains)
        if bool((of == place).any())
    }

"""Joint training: experts and router from one run, one data set per expert (LoRA-Mixer, arXiv 2507.00029).

    hard stage    g = onehot(d): a row of domain d is read by expert d alone, in every layer
    soft stage    g = router(x), and beta * sum_e ||theta_e - theta_e0||^2 on top of the router's losses

theta_e0 is what an expert was when the hard stage ended. Experts train in both stages, the router in the soft
one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from engine.formats.dataset import Row
from engine.formats.errors import StudioError
from engine.formats.files import atomic_folder
from engine.lora import Adapter, Tape, attach, new_adapter
from engine.lora.prefix import Prefix
from engine.messages import RouterInput, RouterShare
from engine.mixer.losses import specialization_balance_loss
from engine.mixer.mix_file import save_mix
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
        self.router_rate = router_learning_rate / learning_rate
        self.balance_weight = balance_weight
        self.entropy_weight = entropy_weight
        self.band_weight = band_weight
        self.preserve_weight = preserve_weight
        if not 0 <= hard_share < 1:
            raise StudioError("usage", "The hard stage cannot be all of the training.", "0.6 is usual.")
        self.hard_steps = round(hard_share * steps)
        self.stage = HARD if self.hard_steps else SOFT
        self.domains = tuple(rows)
        encoded = [encode(tokenizer, rows[domain], max_length) for domain in self.domains]
        self.examples = [(example, place) for place, part in enumerate(encoded) for example in part]
        begin = {
            name: start[name]
            if name in start
            else new_adapter(model, rank, alpha, targets, seed=seed + place)
            for place, name in enumerate(self.domains)
        }
        self.bank = attach(
            model, {name: _plain(name, adapter, base) for name, adapter in begin.items()}, trainable=True
        )
        layout = self.bank.layout()
        self.router = Router(layout, self.domains, router_input, null_expert)
        self.router.to(model.device)
        self.owners = Owners(layout, self.router.experts)
        whole = dict.fromkeys(self.domains, 1.0)
        self.gates = self.bank.new_gates(whole, router=self.router)
        self.hard_gates = self.bank.new_gates(whole, router=self.owners)
        self.gates.tape, self.hard_gates.tape = Tape(), Tape()
        self.anchor: dict[str, Tensor] = {}

    def parameters(self) -> dict[str, Tensor]:
        return {**self.bank.named_parameters(), **self._router_parameters()}

    def batches(self, order: torch.Generator) -> list[list[int]]:
        return shuffled(len(self.examples), self.batch_size, order)

    def stages(self) -> tuple[int, ...]:
        return (self.hard_steps,)

    def rates(self) -> dict[str, float]:
        return dict.fromkeys(self._router_parameters(), self.router_rate)

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
        value, held = tokens.mean(), torch.zeros(())
        metrics = {"task_loss": value.item(), "stage": self.stage, "entropy": seen.entropy.item()}
        if self.stage == SOFT:
            held = self.preserve_weight * self._moved()
            value = value + held + specialization_balance_loss(seen, self.balance_weight, self.entropy_weight)
        metrics |= {"preserve": held.item()} | _by_domain(tokens.detach(), batch, owners, self.domains)
        load = zip(self.router.experts, seen.load.tolist(), strict=True)
        return Loss(value, batch.read, metrics | {f"load.{name}": share for name, share in load})

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the mix as a folder, its experts inside as ordinary adapters."""
        shares = self.usage()
        warning = "" if self.stage == SOFT else UNTRAINED
        with atomic_folder(folder, doing="saving the mix") as work:
            save_mix(work, self.router, self.bank, name=self.name, base=self.base, usage=shares)
        return {"usage": shares, "router_parameters": self.router.size, "warning": warning}

    def usage(self) -> dict[str, float]:
        """Mean weight of each expert over the tokens of some examples of all domains."""
        numbers = range(0, len(self.examples), -(-len(self.examples) // USAGE_EXAMPLES))
        batches = (numbers[at : at + self.batch_size] for at in range(0, len(numbers), self.batch_size))
        return usage(self.model, self.bank, self.gates, (self._batch(part)[0] for part in batches))

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

    def _moved(self) -> Tensor:
        """sum_e ||theta_e - theta_e0||^2."""
        now = self.bank.named_parameters()
        return torch.stack([(now[name] - was).square().sum() for name, was in self.anchor.items()]).sum()


class Owners:
    """The gates of the hard stage, as a router: row i of a batch belongs to expert ``rows[i]`` alone."""

    remembers = False
    weights: tuple[Tensor, ...] = ()

    def __init__(self, layout: Mapping[str, tuple[int, Sequence[str]]], experts: Sequence[str]) -> None:
        self.experts = tuple(experts)
        self.rows = torch.zeros(0, dtype=torch.int64)
        self._layout = layout

    def voice(self, modules: Sequence[str]) -> OwnersVoice:
        return OwnersVoice(self, len(modules), self._layout[modules[0]][0])


class OwnersVoice:
    """The owners' say on one group of projections; it needs no product to know it."""

    sizes: tuple[int, ...] = ()

    def __init__(self, owners: Owners, modules: int, width: int) -> None:
        self._owners, self._modules, self._rows = owners, modules, torch.zeros(0, width)

    def rows(self) -> Tensor:
        """None: [0, d_in]."""
        return self._rows

    def __call__(self, logits: Sequence[Tensor], prefix: Prefix | None, shape: tuple[int, int]) -> Tensor:
        whole = functional.one_hot(self._owners.rows, len(self._owners.experts)).float()
        return whole.repeat_interleave(shape[1], 0).repeat(1, self._modules)


def _plain(name: str, adapter: Adapter, base: str) -> Adapter:
    """An expert to begin with, its card naming ``base``."""
    return replace(adapter, name=name, config=replace(adapter.config, base=base))


def _by_domain(tokens: Tensor, batch: Batch, owners: Tensor, domains: Sequence[str]) -> dict[str, float]:
    """``loss.DOMAIN``: nats per learned token of each domain that the batch has rows of."""
    of = owners.repeat_interleave(batch.learned.sum(1))
    return {
        f"loss.{domain}": tokens[of == place].mean().item()
        for place, domain in enumerate(domains)
        if bool((of == place).any())
    }

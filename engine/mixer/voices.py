"""What a router says to one group of projections: extra rows for the group's product, and weights from them.

How a voice weighs (activation, top-k, muted experts ...) is put together once, when the voice is made, so
that a token pays for nothing but what it uses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engine.formats.errors import StudioError
from engine.lora.prefix import Prefix

if TYPE_CHECKING:
    from engine.mixer.router import Router

__all__ = ["Echo", "Voice"]

Weigh = Callable[[Tensor], Tensor]
_MANY = 128
_CLOSED = torch.finfo(torch.float32).min


class Voice:
    """A router on one group of m projections, which n of its gates weigh (n = m unless they are shared).

    Rows [halves * n * E, d_in], the local half first.
    """

    def __init__(self, router: Router, modules: Sequence[str]) -> None:
        gates = [router.gate_of(module) for module in modules]
        self._gates = list(dict.fromkeys(gates))
        self._router = router
        self._remembers = router.remembers
        self._key = (router.token, *self._gates)
        self._count = (len(modules), len(self._gates), len(router.experts))
        half = len(self._gates) * len(router.experts)
        self.sizes: tuple[int, ...] = (half, half) if router.remembers else (half,)
        self._weigh = _weighing(router, modules)
        self._index = [self._gates.index(gate) for gate in gates]
        self._waiting: set[Echo] = set()
        self._said: tuple[Tensor, tuple[int, int]] | None = None
        self.echoes: list[Echo] = []

    def rows(self) -> Tensor:
        """[n, d_in], the temperature folded in."""
        rows = torch.stack([self._router.columns(gate) for gate in self._gates], dim=1).flatten(0, 2)
        return rows if self._router.temperature == 1.0 else rows / self._router.temperature

    def __call__(self, logits: Sequence[Tensor], prefix: Prefix | None, shape: tuple[int, int]) -> Tensor:
        if not self._remembers:
            z = logits[0]
        elif prefix is not None:
            z = prefix.plus_mean(self._key, logits[0], logits[1], shape)
        else:
            raise StudioError(
                "failed",
                "A mix with context was asked outside the model's own forward pass.",
                "Call the model that the bank is attached to; under gradient checkpointing use local input.",
            )
        if self.echoes:
            self._said, self._waiting = (z, shape), set(self.echoes)
        modules, gates, experts = self._count
        if modules == 1:
            return self._weigh(z)
        z = z.view(-1, gates, experts)
        if gates == modules:
            return self._weigh(z).view(-1, modules * experts)
        if gates > 1:
            z = z[:, self._index]
        return self._weigh(z).expand(-1, modules, -1).reshape(-1, modules * experts)

    def repeat(self, echo: Echo, shape: tuple[int, int]) -> Tensor:
        """This forward's logits [B*T, E], once for each echo."""
        if self._said is None or echo not in self._waiting or self._said[1] != shape:
            raise StudioError(
                "failed",
                "A layer of this base reads other tokens, or in another order, than its first projection.",
                "Train the router with a gate per group or per projection.",
            )
        z = self._said[0]
        self._waiting.discard(echo)
        if not self._waiting:
            self._said = None
        return z


class Echo:
    """The voice of a group further down a layer whose gate is shared: it repeats the layer's first voice."""

    def __init__(self, router: Router, modules: Sequence[str], first: Voice) -> None:
        self.sizes: tuple[int, ...] = ()
        self._first = first
        self._weigh = _weighing(router, modules)
        self._count = (len(modules), len(router.experts))
        self._rows = router.columns(router.gate_of(modules[0])).new_empty(0, router.layout[modules[0]][0])
        first.echoes.append(self)

    def rows(self) -> Tensor:
        """None: [0, d_in]."""
        return self._rows

    def __call__(self, logits: Sequence[Tensor], prefix: Prefix | None, shape: tuple[int, int]) -> Tensor:
        modules, experts = self._count
        z = self._first.repeat(self, shape)
        if modules == 1:
            return self._weigh(z)
        z = z.view(-1, 1, experts)
        return self._weigh(z).expand(-1, modules, -1).reshape(-1, modules * experts)


def _weighing(router: Router, modules: Sequence[str]) -> Weigh:
    """Logits [N, E], [N, 1, E] or [N, m, E] to weights of m projections."""
    absent = router.absent[[router.projections.index(module) for module in modules]]
    closed = absent | _columns(router, {*router.muted, *router.locked})
    steps: list[Weigh] = []
    if router.absolute:
        steps.append(torch.abs)
    if bool(closed.any()):
        steps.append(partial(torch.add, closed.float() * _CLOSED))
    steps.append(torch.sigmoid if router.activation == "sigmoid" else _softmax)
    if bool(closed.all(-1).any()):  # the softmax of nothing but closed columns would be even
        steps.append(partial(torch.mul, (~closed.all(-1, keepdim=True)).float()))
    if router.mode == "hard":
        steps.append(partial(_first_alone, router))
    elif router.mode == "topk" and router.top_k < len(router.experts):
        steps.append(partial(_keep_top, router.top_k, router.renormalise))
    if router.strength != 1.0:
        steps.append(partial(torch.mul, torch.tensor(router.strength, device=absent.device)))
    locked = ~absent & _columns(router, {*router.locked} - {*router.muted})
    if bool(locked.any()):
        steps.append(partial(torch.add, locked.float()))
    return steps[0] if len(steps) == 1 else partial(_in_turn, steps)


def _columns(router: Router, names: set[str]) -> Tensor:
    return torch.tensor([name in names for name in router.experts], device=router.absent.device)


def _in_turn(steps: Sequence[Weigh], z: Tensor) -> Tensor:
    for step in steps:
        z = step(z)
    return z


def _softmax(z: Tensor) -> Tensor:
    if len(z) < _MANY:
        return z.softmax(-1)
    p = (z - z.amax(-1, keepdim=True)).exp()  # of many short rows torch's own takes four times as long
    return p / p.sum(-1, keepdim=True)


def _keep_top(k: int, renormalise: bool, p: Tensor) -> Tensor:
    """The k largest; with ``renormalise`` they take over the weight of the others."""
    values, indices = p.topk(k, dim=-1)
    if renormalise:
        tiny = torch.finfo(p.dtype).tiny
        values = values * (p.sum(-1, keepdim=True) / values.sum(-1, keepdim=True).clamp_min(tiny))
    return torch.zeros_like(p).scatter(-1, indices, values)


def _first_alone(router: Router, p: Tensor) -> Tensor:
    """1 for the largest weight, the gradient straight through to all (Bengio et al., arXiv 1308.3432)."""
    first = p.argmax(-1, keepdim=True)
    chosen = torch.zeros_like(p).scatter(-1, first, (p.gather(-1, first) > 0).to(p.dtype))
    if not torch.is_grad_enabled():
        return chosen
    if router.chances is not None:
        router.chances.append(p)
    return chosen + (p - p.detach())

"""Whole parameters that an expert replaces (modules_to_save, trained biases), blended without touching them.

y = base + w (own - base)        w: the owner's static fader, never a router
"""

from __future__ import annotations

import copy
import weakref
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from engine.formats.errors import AdapterError, StudioError
from engine.lora.landing import Place

__all__ = ["Added", "Replacement", "Swapped", "Twin", "owned", "way"]

Fader = Callable[[str, Tensor], float | Tensor]


@dataclass(frozen=True, eq=False)
class Replacement:
    """One module of the base, and the parameters that ``owner`` has in place of its own, by name."""

    owner: str
    path: str
    module: nn.Module
    own: Mapping[str, nn.Parameter]


class Added:
    """A linear map (projection, embedding) with other numbers: what they make different is added to whatever
    is played there, so that it is neither scaled by a DoRA nor in its way."""

    def __init__(self, replacement: Replacement) -> None:
        self.owner = replacement.owner
        with torch.inference_mode(False), torch.no_grad():
            base = {n: p for n, p in replacement.module._parameters.items() if p is not None}
            more = {name: own - base[name] for name, own in replacement.own.items()}
            rest = {name: torch.zeros_like(tensor) for name, tensor in base.items() if name not in more}
        self._more: Callable[..., Tensor] | Tensor
        self._more = more["bias"] if set(more) == {"bias"} else _twin(replacement.module, {**rest, **more})

    def __call__(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor, said: Tensor, fader: Fader
    ) -> Tensor | None:
        """``output`` as the owner's fader has it; None where that is silent. ``said`` is the base's own."""
        weight = fader(self.owner, output)
        if isinstance(weight, float) and weight == 0.0:
            return None
        more = self._more if isinstance(self._more, Tensor) else self._more(*args, **kwargs)
        return output + weight * more


class Twin:
    """Any other module (a norm, a convolution): computed again with the parameters replaced."""

    def __init__(self, replacement: Replacement) -> None:
        self.owner = replacement.owner
        self._twin = _twin(replacement.module, replacement.own)

    def __call__(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor, said: Tensor, fader: Fader
    ) -> Tensor | None:
        """``output`` as the owner's fader has it; None where that is silent. ``said`` is the base's own."""
        weight = fader(self.owner, output)
        if isinstance(weight, float) and weight == 0.0:
            return None
        own: Tensor = self._twin(*args, **kwargs)
        whole = isinstance(weight, float) and weight == 1.0 and said is output
        return own if whole else output + weight * (own - said)


def _twin(module: nn.Module, own: Mapping[str, Tensor]) -> nn.Module:
    """A private copy that shares everything but the parameters ``own``, without anybody's hooks."""
    twin = copy.copy(module)
    mine = {name: nn.Parameter(tensor, requires_grad=False) for name, tensor in own.items()}
    twin._parameters = {**module._parameters, **mine}
    for hooks in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"):
        setattr(twin, hooks, OrderedDict())
    return twin


class Swapped:
    """A module whose parameters the base reads without calling it (a Mamba's convolution): for the time of a
    forward pass it calls other tensors its own. Those of several banks add up."""

    def __init__(self, replacement: Replacement) -> None:
        self.owner = replacement.owner
        self._module = replacement.module
        with torch.inference_mode(False), torch.no_grad():
            base = replacement.module._parameters
            self.more = {name: own - _there(base[name]) for name, own in replacement.own.items()}

    def put(self, fader: Fader) -> None:
        """A forward pass begins. StudioError where its rows want different weights."""
        weights = fader(self.owner, next(iter(self.more.values())))
        if isinstance(weights, Tensor):
            if not bool((weights == weights.flatten()[0]).all()):
                raise StudioError(
                    "usage",
                    f"{self.owner} replaces parts of this base that all rows of a batch share.",
                    "Ask for its answer alone.",
                )
            weights = float(weights.flatten()[0])
        if weights:
            _loans.setdefault(self._module, _Loan(self._module)).change(self, weights)

    def take_back(self) -> None:
        """The forward pass is over, or has failed."""
        loan = _loans.get(self._module)
        if loan is not None:
            loan.change(self, 0.0)
            if not loan.shares:
                del _loans[self._module]


class _Loan:
    """The parameters that a module has for now, and its own, which it gets back in the end."""

    def __init__(self, module: nn.Module) -> None:
        self.shares: dict[Swapped, float] = {}
        self._module = weakref.ref(module)
        self._own = dict(module._parameters)

    def change(self, swapped: Swapped, weight: float) -> None:
        module = self._module()
        assert module is not None
        if weight:
            self.shares[swapped] = weight
        else:
            self.shares.pop(swapped, None)
        with torch.no_grad():
            for name in swapped.more:
                sums = [
                    share * other.more[name] for other, share in self.shares.items() if name in other.more
                ]
                own = self._own[name]
                lent = nn.Parameter(_there(own) + sum(sums), requires_grad=False) if sums else own
                module._parameters[name] = lent


_loans: weakref.WeakKeyDictionary[nn.Module, _Loan] = weakref.WeakKeyDictionary()


def _there(parameter: nn.Parameter | None) -> nn.Parameter:
    assert parameter is not None
    return parameter


def owned(replaced: Mapping[str, Mapping[Place, Tensor]]) -> list[Replacement]:
    """One Replacement for each module whose parameters an expert replaces.

    AdapterError when two experts replace parameters of one module: only one can be its owner.
    """
    owner: dict[nn.Module, str] = {}
    found = []
    for name, places in replaced.items():
        modules: dict[nn.Module, dict[str, nn.Parameter]] = defaultdict(dict)
        for place, tensor in places.items():
            path, module = place.path.rpartition(".")[0], place.module
            other = owner.setdefault(module, name)
            if other != name:
                raise AdapterError(
                    f"{other} and {name} both replace {path} of the base; only one of them can.",
                    "Use one of the two, or train one of them without modules_to_save and biases.",
                )
            if next(module.children(), None) is not None:
                raise AdapterError(
                    f"{name} replaces {place.path}, which belongs to no plain layer.",
                    "Train it without that module in modules_to_save.",
                )
            base = _there(module._parameters[place.name])
            if not modules[module]:
                found.append(Replacement(name, path, module, modules[module]))
            with torch.inference_mode(False), torch.no_grad():
                own = tensor.detach().to(base.device, base.dtype, copy=True)
                modules[module][place.name] = nn.Parameter(own, requires_grad=False)
    return found


def way(replacement: Replacement, bypassed: Collection[str]) -> Added | Twin | Swapped:
    """How ``replacement`` is done on a base that reads ``bypassed`` modules without calling them."""
    if replacement.path in bypassed:
        return Swapped(replacement)
    if isinstance(replacement.module, (nn.Linear, Conv1D, nn.Embedding)):
        return Added(replacement)
    return Twin(replacement)

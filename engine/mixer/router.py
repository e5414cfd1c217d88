"""The router: linear maps that weigh the experts for every token, one per projection or shared by several.

    local      p = softmax(V x / t)                   LoRA-Mixer, arXiv 2507.00029
    context    p = softmax((V x + U mean(x)) / t)     mean over the text so far, this token included

``context`` is beyond the paper: a small base forgets the task at tokens that do not carry it. The mean
commutes with U, so what is remembered beside the KV cache is a running mean of logits. What a router does
with its logits (top-k, hard, sigmoid, muted experts ...) is in ``voices``.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from engine.formats.errors import StudioError
from engine.formats.shares import serves
from engine.messages import Activation, GateMode, RouterInput, RouterShare
from engine.mixer.voices import Echo, Voice

__all__ = ["NULL", "Router"]

NULL = "null"
_tokens = itertools.count()
Layout = Mapping[str, tuple[int, Sequence[str]]]


class Router(nn.Module):
    """Weights over ``experts`` for each token and projection, for ``Bank.new_gates(..., router=router)``.

    ``layout`` is ``Bank.layout()``: {projection: (d_in, its experts)}; an expert that does not adapt a
    projection is masked there. ``null`` adds an expert that says nothing.

    ``share`` is one gate per "projection"; per "group" of projections that read one input; or per "layer",
    whose first group is then read for all of it. The last two need ``groups``, which is ``Bank.groups()``.
    ``activation`` "sigmoid" weighs each expert by itself. ``absolute`` takes |V x| for logits, so that a
    direction counts whichever way it points (Arrow, arXiv 2405.11157).

    ``V`` holds one [1 or 2, E, d_in] per gate (E = experts, null included; the second half reads the
    running mean); zero at the start, so that every expert is equally loud, or N(0, 0.02) from ``seed``.
    Gate i reads the input of ``paths[i]`` and weighs ``serves[i]``.
    """

    def __init__(
        self,
        layout: Layout,
        experts: Sequence[str],
        input: RouterInput = "context",
        null: bool = True,
        temperature: float = 1.0,
        seed: int | None = None,
        *,
        share: RouterShare = "projection",
        groups: Sequence[Sequence[str]] = (),
        activation: Activation = "softmax",
        absolute: bool = False,
    ) -> None:
        super().__init__()
        if NULL in experts or len(set(experts)) != len(experts):
            raise StudioError("usage", f"Experts need different names, none of them {NULL}.", "Rename one.")
        if not temperature > 0:
            raise StudioError("usage", "The router's temperature must be above 0.", "1 is usual.")
        self.layout = {path: (d_in, tuple(names)) for path, (d_in, names) in layout.items()}
        self.experts = (*experts, NULL) if null else tuple(experts)
        self.input, self.null, self.temperature = input, null, temperature
        self.share, self.activation, self.absolute = share, activation, absolute
        found = (tuple(path for path in group if path in layout) for group in groups)
        self.groups = [group for group in found if group]
        self.projections = tuple(layout)
        self.serves = serves(self.layout, self.groups, share)
        self.paths = tuple(served[0] for served in self.serves)
        self._gate_of = {path: gate for gate, served in enumerate(self.serves) for path in served}
        self._first: dict[int, Voice] = {}
        self.mode: GateMode = "soft"
        self.top_k = 3
        self.strength = 1.0
        self.renormalise = True
        self.muted: frozenset[str] = frozenset()
        self.locked: frozenset[str] = frozenset()
        self.chances: list[Tensor] | None = None
        """Where hard gates leave the weights that they chose by, while they train."""
        self.token = next(_tokens)
        halves = 2 if input == "context" else 1
        with torch.inference_mode(False):
            shapes = [(halves, len(self.experts), layout[path][0]) for path in self.paths]
            self.V = nn.ParameterList([nn.Parameter(torch.zeros(shape)) for shape in shapes])
        self.weights = tuple(self.V)  # walking a ParameterList for every token is slow
        if seed is not None:
            generator = torch.Generator().manual_seed(seed)
            for V in self.weights:
                V.data.normal_(0.0, 0.02, generator=generator)
        present = [[name in names or name == NULL for name in self.experts] for _, names in layout.values()]
        self.absent: Tensor
        self.register_buffer("absent", ~torch.tensor(present), persistent=False)

    @property
    def remembers(self) -> bool:
        """Whether the weights depend on earlier tokens."""
        return self.input == "context"

    @property
    def size(self) -> int:
        """How many numbers are trained."""
        return sum(V.numel() for V in self.weights)

    def gate_of(self, module: str) -> int:
        """The number of the gate that weighs ``module``."""
        return self._gate_of[module]

    def columns(self, gate: int) -> Tensor:
        """[1 or 2, E, d_in]: one gate whole, what is trained and what is not."""
        V: Tensor = self.V[gate]
        return V

    def play(
        self,
        mode: GateMode = "soft",
        top_k: int = 3,
        strength: float = 1.0,
        renormalise: bool = True,
        muted: Collection[str] = (),
        locked: Collection[str] = (),
    ) -> Router:
        """The same parameters, heard in another way.

        ``topk`` keeps the k largest weights and, unless ``renormalise`` is false, lets them take over what
        the others had: plain top-k only makes every expert quieter than it was trained. ``hard`` is the
        first alone with weight 1; in training its gradient goes straight through. ``strength`` multiplies
        all weights. ``muted`` experts leave before the softmax, so that the others get their part;
        ``locked`` ones leave it too and speak with weight 1. Who is both is muted.
        """
        if top_k < 1:
            raise StudioError("usage", "At least one expert must speak.", "Give a top-k of 1 or more.")
        for name in (*muted, *locked):
            if name not in self.experts:
                raise StudioError(
                    "usage",
                    f"The router does not know the expert {name}.",
                    f"It knows {_listed(self.experts)}.",
                )
        other = copy.copy(self)
        other.mode, other.top_k, other.strength, other.renormalise = mode, top_k, strength, renormalise
        other.muted, other.locked = frozenset(muted), frozenset(locked)
        return other

    def voice(self, modules: Sequence[str]) -> Voice | Echo:
        """The say on a group of projections that read one input. Asked for group by group, in order of
        call."""
        gate = self._gate_of[modules[0]]
        if self.share == "layer" and self.paths[gate] not in modules:
            return Echo(self, modules, self._first[gate])
        self._first[gate] = voice = Voice(self, modules)
        return voice

    def extended(
        self, layout: Layout, experts: Sequence[str], groups: Sequence[Sequence[str]] = ()
    ) -> Router:
        """A router over ``experts``, of which this one knows the first: only the new ones' columns train,
        the old ones are bit for bit what they were. Arguments as of the constructor.

        On a projection that only new experts adapt their weight is held against the null expert's logit of
        0. StudioError("usage") where there is no null expert and so nothing to hold it against.
        """
        return _Extended(self, layout, experts, groups)

    def without(self, expert: str) -> Router:
        """The same router with one expert gone; the others share its part. Nothing is trained."""
        names = [name for name in self.experts if name != NULL]
        if expert not in names:
            raise StudioError(
                "usage", f"There is no expert {expert} in this mix.", f"It has {_listed(names)}."
            )
        if len(names) == 1:
            raise StudioError("usage", f"{expert} is the mix's only expert.", "Delete the mix instead.")
        rest = [name for name in names if name != expert]
        layout = {
            path: (d_in, [name for name in here if name != expert])
            for path, (d_in, here) in self.layout.items()
            if set(here) - {expert}
        }
        other = Router(layout, rest, **self._settings(), groups=self.groups)
        kept = [column for column, name in enumerate(self.experts) if name != expert]
        with torch.no_grad():
            for gate, V in enumerate(other.V):
                V.copy_(self.columns(self._read_as(other, gate, expert))[:, kept])
        return other

    def _settings(self) -> dict[str, Any]:
        """What ``extended`` and ``without`` take over."""
        return {
            "input": self.input,
            "null": self.null,
            "temperature": self.temperature,
            "share": self.share,
            "activation": self.activation,
            "absolute": self.absolute,
        }

    def _read_as(self, other: Router, gate: int, expert: str) -> int:
        """This router's gate that becomes ``other``'s: both must read the same input."""
        mine = self._gate_of[other.paths[gate]]
        here, there = self.paths[mine], other.paths[gate]
        if here != there and not any(here in group and there in group for group in self.groups):
            raise StudioError(
                "usage",
                f"The gate of a layer reads {here}, which only {expert} adapts.",
                "Train the mix again without that expert.",
            )
        return mine


class _Extended(Router):
    """A router whose ``V`` are the columns of experts that came later; the others are buffers."""

    def __init__(
        self, old: Router, layout: Layout, experts: Sequence[str], groups: Sequence[Sequence[str]]
    ) -> None:
        known = [name for name in old.experts if name != NULL]
        if list(experts[: len(known)]) != known or len(experts) == len(known):
            raise StudioError(
                "usage",
                f"The mix's experts are {_listed(known)}; the new ones come after them.",
                "Name the mix's experts first, in its order, and at least one more.",
            )
        super().__init__(layout, experts, **old._settings(), groups=groups)
        self._old = len(known)
        for gate, (path, served) in enumerate(zip(self.paths, self.serves, strict=True)):
            mine = {old.gate_of(module) for module in served if module in old.layout}
            halves, _, d_in = self.V[gate].shape
            if mine:
                self._check_input(old, mine, path)
                fixed = old.columns(mine.pop()).detach().clone()
            elif self.null:
                fixed = self.V[gate].new_zeros(halves, self._old + 1, d_in)
            else:
                raise StudioError(
                    "usage",
                    f"Only {_listed(experts[self._old :])} would adapt {path}, and a mix without a null "
                    "expert can never be silent there.",
                    "Add an expert with the same targets as the others, or train a mix with a null expert.",
                )
            self.register_buffer(f"fixed{gate}", fixed.detach())
            self.V[gate] = nn.Parameter(fixed.new_zeros(halves, len(experts) - self._old, d_in))
        self.weights = tuple(self.V)

    def columns(self, gate: int) -> Tensor:
        fixed = self._buffers[f"fixed{gate}"]
        assert fixed is not None
        return torch.cat([fixed[:, : self._old], self.V[gate], fixed[:, self._old :]], dim=1)

    def _check_input(self, old: Router, gates: set[int], path: str) -> None:
        """A gate must go on reading the input that it was trained on."""
        reads = {old.paths[gate] for gate in gates}
        here = next((group for group in self.groups if path in group), (path,))
        if len(gates) > 1 or not reads <= set(here):
            raise StudioError(
                "usage",
                f"The mix's gates read {_listed(sorted(reads))}; with the new experts one would read {path}.",
                "Add an expert with the same targets as the others, or train the mix anew.",
            )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)

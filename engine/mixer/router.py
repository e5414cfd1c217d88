"""The router: one linear map per adapted projection that weighs the experts for every token.

    local      p = softmax(V x / t)                   LoRA-Mixer, arXiv 2507.00029
    context    p = softmax((V x + U mean(x)) / t)     mean over the text so far, this token included

``context`` is beyond the paper: a small base forgets the task at tokens that do not carry it. The mean
commutes with U, so what is remembered beside the KV cache is a running mean of logits.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from engine.formats.errors import StudioError
from engine.lora.prefix import Prefix

__all__ = ["NULL", "Router"]

NULL = "null"
_tokens = itertools.count()


class Router(nn.Module):
    """Weights over ``experts`` for each token and projection, for ``Bank.new_gates(..., router=router)``.

    ``layout`` is ``Bank.layout()``: {projection: (d_in, its experts)}; an expert that does not adapt a
    projection is masked there. ``null`` adds an expert that says nothing. ``V`` holds one [1 or 2, E, d_in]
    per projection (E = experts, null included; the second half reads the running mean); zero at the start,
    so that every expert is equally loud, or N(0, 0.02) from ``seed``.
    """

    def __init__(
        self,
        layout: Mapping[str, tuple[int, Sequence[str]]],
        experts: Sequence[str],
        input: Literal["local", "context"] = "context",
        null: bool = True,
        temperature: float = 1.0,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        if NULL in experts or len(set(experts)) != len(experts):
            raise StudioError("usage", f"Experts need different names, none of them {NULL}.", "Rename one.")
        if not temperature > 0:
            raise StudioError("usage", "The router's temperature must be above 0.", "1 is usual.")
        self.input = input
        self.null = null
        self.temperature = temperature
        self.experts = (*experts, NULL) if null else tuple(experts)
        self.paths = tuple(layout)
        self.mode: Literal["soft", "topk"] = "soft"
        self.top_k = 3
        self.strength = 1.0
        self.renormalise = True
        self.token = next(_tokens)
        halves = 2 if input == "context" else 1
        shapes = [(halves, len(self.experts), d_in) for d_in, _ in layout.values()]
        with torch.inference_mode(False):
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

    def play(
        self,
        mode: Literal["soft", "topk"] = "soft",
        top_k: int = 3,
        strength: float = 1.0,
        renormalise: bool = True,
    ) -> Router:
        """The same parameters, heard in another way.

        ``topk`` keeps the k largest weights and, unless ``renormalise`` is false, lets them sum to one
        again: in training the weights summed to one, and plain top-k only makes every expert quieter than
        it was trained. ``strength`` multiplies all weights.
        """
        if top_k < 1:
            raise StudioError("usage", "At least one expert must speak.", "Give a top-k of 1 or more.")
        other = copy.copy(self)
        other.mode, other.top_k, other.strength, other.renormalise = mode, top_k, strength, renormalise
        return other

    def voice(self, modules: Sequence[str]) -> _Voice:
        """The say on a group of projections that read one input."""
        return _Voice(self, [self.paths.index(module) for module in modules])


class _Voice:
    """A router on one group of m projections: rows [halves * m * E, d_in], the local half first."""

    def __init__(self, router: Router, places: list[int]) -> None:
        self._router = router
        self._V = [router.V[place] for place in places]
        self._count = (len(places), len(router.experts))
        self._key = (router.token, *places)
        half = len(places) * len(router.experts)
        self.sizes = (half, half) if router.remembers else (half,)
        absent = router.absent[places]
        self._mask = absent.view(-1).float() * torch.finfo(torch.float32).min if bool(absent.any()) else None

    def rows(self) -> Tensor:
        """[n, d_in], the temperature folded in."""
        rows = torch.stack(self._V, dim=1).flatten(0, 2)
        return rows if self._router.temperature == 1.0 else rows / self._router.temperature

    def __call__(self, logits: Sequence[Tensor], prefix: Prefix | None, shape: tuple[int, int]) -> Tensor:
        router, (modules, experts) = self._router, self._count
        if len(logits) == 1:
            z = logits[0]
        elif prefix is not None:
            z = prefix.plus_mean(self._key, logits[0], logits[1], shape)
        else:
            raise StudioError(
                "failed",
                "A mix with context was asked outside the model's own forward pass.",
                "Call the model that the bank is attached to; under gradient checkpointing use local input.",
            )
        if self._mask is not None:
            z = z + self._mask
        if modules > 1:
            z = z.view(-1, modules, experts)
        p = z.softmax(-1)
        if router.mode == "topk" and router.top_k < experts:
            p = _keep_top(p, router.top_k, router.renormalise)
        if router.strength != 1.0:
            p = p * router.strength
        return p.view(-1, modules * experts) if modules > 1 else p


def _keep_top(p: Tensor, k: int, renormalise: bool) -> Tensor:
    values, indices = p.topk(k, dim=-1)
    if renormalise:
        values = values / values.sum(-1, keepdim=True)
    return torch.zeros_like(p).scatter(-1, indices, values)

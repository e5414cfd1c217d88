"""A fresh LoRA for a base, to be trained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from engine.formats.adapter_config import AdapterConfig
from engine.formats.errors import AdapterError
from engine.lora.adapter import Adapter, Factors
from engine.lora.landing import linear_shape, linears
from engine.lora.probe import probe

__all__ = ["new_adapter"]


def new_adapter(
    model: nn.Module,
    rank: int,
    alpha: float | None = None,
    targets: Sequence[str] = (),
    rslora: bool = False,
    seed: int = 0,
    name: str = "new",
) -> Adapter:
    """A fresh LoRA for ``model`` that changes nothing yet: A uniform in +-1/sqrt(d_in) as PEFT's, B zero.

    ``targets`` are names or ends of paths as in PEFT; empty means every linear projection of the blocks that
    is heard and that PEFT loads (not the output head, and of a Mamba neither dt_proj nor out_proj). ``alpha``
    defaults to ``rank``. AdapterError when nothing matches.
    """
    chosen = _choose(model, targets)
    generator = torch.Generator().manual_seed(seed)
    scale = (rank if alpha is None else alpha) / (math.sqrt(rank) if rslora else rank)
    factors = {}
    for path, module in chosen.items():
        d_in, d_out = linear_shape(module)
        A = (torch.rand(rank, d_in, generator=generator) * 2 - 1) / math.sqrt(d_in)
        factors[path] = Factors(A, torch.zeros(d_out, rank), scale)
    config = AdapterConfig(
        rank=rank,
        alpha=float(rank if alpha is None else alpha),
        rslora=rslora,
        task="CAUSAL_LM" if hasattr(model, "lm_head") else None,
        fan_in_fan_out=not all(isinstance(module, nn.Linear) for module in chosen.values()),
        targets=tuple(targets) or tuple(sorted({path.rpartition(".")[2] for path in chosen})),
    )
    return Adapter(name, config, factors)


def _choose(model: nn.Module, targets: Sequence[str]) -> dict[str, nn.Module]:
    places = linears(model)
    if targets:
        wanted = {p: m for p, m in places.items() if any(p == t or p.endswith(f".{t}") for t in targets)}
    else:
        wanted = _heard(model, places)
    if not wanted:
        raise AdapterError(
            f"No linear projection of this base is called {', '.join(targets) or 'anything'}.",
            f"It has: {', '.join(sorted({path.rpartition('.')[2] for path in places}))}.",
        )
    return wanted


def _heard(model: nn.Module, places: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """The projections of the blocks (of a model without blocks all) that answers depend on, PEFT's taboos
    left out."""
    blocks = {p: m for p, m in places.items() if any(part.isdecimal() for part in p.split("."))} or places
    seen = probe(model, blocks)
    deaf = seen.bypassed | seen.ignored
    kind = getattr(getattr(model, "config", None), "model_type", "")
    taboo = _TABOO if kind in _STATE_SPACE else ""
    return {p: m for p, m in blocks.items() if p not in deaf and p.rpartition(".")[2] != taboo}


_TABOO = "out_proj"
_STATE_SPACE = ("falcon_h1", "falcon_mamba", "mamba", "mamba2", "nemotron_h")
"""Kinds of models on whose out_proj PEFT takes no LoRA, neither to make one nor to load it."""

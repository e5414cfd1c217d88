"""An adapter in memory: one pair of factors per projection, read from a checked folder or started fresh."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load as parse_tensors
from torch import Tensor, nn

from engine.formats.adapter_config import AdapterConfig
from engine.formats.adapter_file import WEIGHTS, AdapterFile, fingerprint, read_folder
from engine.formats.errors import AdapterError
from engine.formats.safetensors_file import TensorInfo, parse_header
from engine.lora.landing import linear_shape, linears

__all__ = ["Adapter", "Factors", "new_adapter", "read_adapter"]


@dataclass(frozen=True)
class Factors:
    """One projection's update: scale * B @ A, with A [r, d_in] and B [d_out, r]."""

    A: Tensor
    B: Tensor
    scale: float

    @property
    def rank(self) -> int:
        return self.A.shape[0]


@dataclass(frozen=True)
class Adapter:
    """A LoRA: ``factors`` by module path, the checked config, and the hash of the files it came from.

    ``kind`` "svd" says that each projection's columns are ordered, so that a prefix of them is the best
    approximation of that rank; "lora" promises nothing about order.
    """

    name: str
    config: AdapterConfig
    factors: Mapping[str, Factors]
    sha256: str = ""
    kind: str = "lora"

    @property
    def rank(self) -> int:
        """The largest rank of any projection."""
        return max(factors.rank for factors in self.factors.values())


def read_adapter(folder: str | Path) -> Adapter:
    """The adapter in a PEFT folder, every tensor accounted for, in the files' own number format.

    AdapterError says in a sentence why a folder is not taken (see ``read_folder``), or where it holds NaN or
    infinity. The bytes are read once: what was checked is what is used.
    """
    folder = Path(folder)
    file = read_folder(folder)
    data = (folder / WEIGHTS).read_bytes()
    if parse_header(data[: 8 + (4 << 20)], len(data)) != {i.name: i for i in _tensors(file)}:
        raise AdapterError("The weights file changed while it was read.", "Try again.")
    tensors = parse_tensors(data)
    factors = {}
    for landing in file.landings:
        A, B = tensors[landing.a.name], tensors[landing.b.name]
        if not (A.isfinite().all() and B.isfinite().all()):
            raise AdapterError(
                f"{landing.module} holds numbers that are infinite or not a number.",
                "The training that made it diverged, or the file is damaged; use another one.",
            )
        factors[landing.module] = Factors(A, B, landing.scale)
    return Adapter(folder.name, file.config, factors, fingerprint(folder), file.kind)


def _tensors(file: AdapterFile) -> list[TensorInfo]:
    return sorted(
        (i for landing in file.landings for i in (landing.a, landing.b)), key=lambda i: (i.start, i.end)
    )


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

    ``targets`` are names or ends of paths as in PEFT; empty means every linear projection of the blocks (not
    the output head). ``alpha`` defaults to ``rank``. AdapterError when nothing matches.
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
        numbered = {p: m for p, m in places.items() if any(part.isdecimal() for part in p.split("."))}
        wanted = numbered or places
    if not wanted:
        raise AdapterError(
            f"No linear projection of this base is called {', '.join(targets) or 'anything'}.",
            f"It has: {', '.join(sorted({path.rpartition('.')[2] for path in places}))}.",
        )
    return wanted

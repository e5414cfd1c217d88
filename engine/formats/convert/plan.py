"""What a converted adapter will consist of, worked out from tables alone: its config, and where each of its
tensors comes from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.formats.adapter_config import parse_config
from engine.formats.adapter_tensors import Contents, sort_tensors
from engine.formats.convert.weights import Weights
from engine.formats.errors import AdapterError
from engine.formats.old_names import PREFIX
from engine.formats.safetensors_file import DTYPE_BYTES, TensorInfo

__all__ = ["Made", "Module", "Plan", "config_of", "plan_modules"]

# What of a stranger's config is written again; everything else either follows from the tensors or is dropped.
_KEPT = (
    "base_model_name_or_path", "task_type", "fan_in_fan_out", "bias", "modules_to_save", "use_dora",
    "use_rslora", "lora_bias",
)  # fmt: skip
_NUMBERS = {"F64", "F32", "F16", "BF16"}


@dataclass(frozen=True)
class Made:
    """A float32 tensor that is worked out: ``make`` gets the ``sources`` (names) as float64 numpy arrays."""

    shape: tuple[int, ...]
    sources: tuple[str, ...]
    make: Callable[..., Any]


@dataclass(frozen=True)
class Module:
    """One adapted module: ``parts`` are {"lora_A.weight": the name of a tensor to copy, or what is made}."""

    rank: int
    alpha: float
    parts: Mapping[str, str | Made]


@dataclass(frozen=True)
class Plan:
    """``format`` says what it was; ``tensors`` are {new name: old name, or what is made}."""

    format: str
    weights: Weights
    config: Mapping[str, Any]
    tensors: Mapping[str, str | Made] = field(repr=False)

    def table(self) -> dict[str, TensorInfo]:
        """The table of the file that will be written, in the order of its bytes."""
        table, place = {}, 0
        for name in sorted(self.tensors):
            source = self.tensors[name]
            if isinstance(source, Made):
                dtype, shape = "F32", source.shape
            else:
                dtype, shape = self.weights.tensors[source].dtype, self.weights.tensors[source].shape
            end = place + math.prod(shape) * DTYPE_BYTES[dtype]
            table[name] = TensorInfo(name, dtype, shape, place, end)
            place = end
        return table

    def check(self) -> Contents:
        """What the converted adapter will be. AdapterError as for any adapter that is read."""
        made = [source for source in self.tensors.values() if isinstance(source, Made)]
        for name in {name for source in made for name in source.sources}:
            if self.weights.tensors[name].dtype not in _NUMBERS:
                raise AdapterError(
                    f"{name[:160]} is stored as {self.weights.tensors[name].dtype}.",
                    "Export it in floating point.",
                )
        return sort_tensors(parse_config(self.config), self.table())


def plan_modules(
    kind: str,
    weights: Weights,
    modules: Mapping[str, Module],
    raw: Mapping[str, Any] | None = None,
    others: Mapping[str, str | Made] | None = None,
) -> Plan:
    """The plan for ``modules`` by path. ``raw`` is the config they came with; ``others`` are tensors beside
    them, {new name: old name}."""
    tensors: dict[str, str | Made] = {
        f"{PREFIX}{path}.{part}": source
        for path, module in modules.items()
        for part, source in module.parts.items()
    }
    sizes = {path: (module.rank, module.alpha) for path, module in modules.items()}
    return Plan(kind, weights, config_of(sizes, raw or {}), {**tensors, **(others or {})})


def config_of(sizes: Mapping[str, tuple[int, float]], raw: Mapping[str, Any]) -> dict[str, Any]:
    """adapter_config.json for modules by path of (rank, alpha)."""
    rank = _usual(rank for rank, _ in sizes.values())
    alpha = _usual(alpha for _, alpha in sizes.values())
    by_length = sorted(sizes, key=len, reverse=True)  # a pattern also matches paths that end with it
    return {key: raw[key] for key in _KEPT if raw.get(key) is not None} | {
        "peft_type": "LORA",
        "inference_mode": True,
        "r": rank,
        "lora_alpha": alpha,
        "rank_pattern": {path: sizes[path][0] for path in by_length if sizes[path][0] != rank},
        "alpha_pattern": {path: sizes[path][1] for path in by_length if sizes[path][1] != alpha},
        "target_modules": sorted(sizes),
    }


def _usual(values: Any) -> Any:
    return next((value for value, _ in Counter(values).most_common(1)), 1)

"""Adapters of PEFT's whose tensors or modules had other names, or that were saved as a pickle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.formats.adapter_config import AdapterConfig, parse_config
from engine.formats.adapter_tensors import place_tensors
from engine.formats.convert.plan import Plan, config_of
from engine.formats.convert.weights import Weights
from engine.formats.old_names import PREFIX, rename_modules, rename_tensors
from engine.formats.safetensors_file import TensorInfo

__all__ = ["current_names", "plan_peft"]


def current_names(weights: Weights, config: AdapterConfig) -> dict[str, str]:
    """{tensor: its name in today's PEFT, on today's transformers}."""
    renamed = rename_tensors(weights.tensors)
    moved = rename_modules((name.removeprefix(PREFIX) for name in renamed.values()), config.hint)
    return {
        old: PREFIX + moved[bare] if (bare := name.removeprefix(PREFIX)) in moved else name
        for old, name in renamed.items()
    }


def plan_peft(weights: Weights, raw: Mapping[str, Any]) -> Plan | None:
    """How a LoRA of PEFT's becomes what today's PEFT writes; None where it is that already.

    AdapterError as for any adapter that is read.
    """
    config = parse_config(raw)
    renamed = rename_tensors(weights.tensors)
    table = {
        name: TensorInfo(name, weights.tensors[old].dtype, weights.tensors[old].shape, 0, 0)
        for old, name in renamed.items()
    }
    contents = place_tensors(config, table)
    current = current_names(weights, config)
    if weights.kind == "safetensors" and all(old == name for old, name in current.items()):
        return None
    modules = [landing.module for landing in contents.landings]
    moved = rename_modules(modules, config.hint)
    alphas = config.alphas(modules)
    sizes = {
        moved.get(place.module, place.module): (place.rank, alphas[place.module])
        for place in contents.landings
    }
    kinds = [
        ("a pickle", weights.kind == "pickle"),
        ("an older PEFT", renamed != {name: name for name in weights.tensors}),
        ("an older transformers", list(current.values()) != list(renamed.values())),
    ]
    name = " of ".join(word for word, is_so in kinds if is_so)
    return Plan(name, weights, config_of(sizes, raw), {name: old for old, name in current.items()})

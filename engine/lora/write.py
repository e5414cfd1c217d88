"""An adapter written as an ordinary PEFT folder, whole or cut to a smaller rank."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save as to_bytes
from torch import Tensor

from engine.formats.adapter_folder import CONFIG, WEIGHTS
from engine.formats.adapter_tensors import PREFIX
from engine.formats.errors import AdapterError
from engine.formats.files import atomic_folder
from engine.formats.studio_file import STUDIO, Cutting, check_rank, studio_text
from engine.lora.adapter import Adapter

__all__ = ["save_adapter", "write_adapter"]


def write_adapter(adapter: Adapter, folder: str | Path, rank: int | None = None) -> None:
    """Write ``adapter`` to a new ``folder`` that PEFT loads to the same logits; ``rank`` cuts every
    projection.

    A cut keeps what speaks at ``rank``, and the scale (alpha = scale * rank, rsLoRA off) or, of a DyLoRA,
    alpha. It is only meaningful for an adapter in order: AdapterError for one that is not (see ``in_order``).
    StudioError("usage") for a rank that it does not have, "disk" when the folder exists or cannot be written.
    """
    with atomic_folder(Path(folder), doing="writing the adapter") as work:
        save_adapter(adapter, work, rank)


def save_adapter(adapter: Adapter, folder: Path, rank: int | None = None) -> None:
    """The same into an existing folder, for callers that make a larger folder appear at once."""
    if rank is not None:
        check_rank(adapter.name, rank, adapter.low, adapter.rank)
        if rank < adapter.rank and adapter.kind == "lora":
            raise AdapterError(
                "A plain LoRA cannot be cut: its columns have no order.", "Order it by SVD first."
            )
        adapter = adapter.cut(rank)
    tensors = {
        PREFIX + path: tensor.detach().cpu().contiguous() for path, tensor in _tensors(adapter).items()
    }
    (folder / WEIGHTS).write_bytes(to_bytes(tensors, {"format": "pt"}))
    (folder / CONFIG).write_text(json.dumps(_config(adapter), indent=2) + "\n")
    if adapter.kind != "lora":
        cutting = Cutting(adapter.kind, adapter.low, adapter.weighed)
        (folder / STUDIO).write_text(studio_text(cutting, adapter.rank))


def _tensors(adapter: Adapter) -> dict[str, Tensor]:
    """Every tensor by the name that PEFT gives it."""
    tensors: dict[str, Tensor] = {}
    for path, item in adapter.factors.items():
        sides = (
            ("lora_embedding_A", "lora_embedding_B") if item.embedding else ("lora_A.weight", "lora_B.weight")
        )
        names = (*sides, "lora_B.bias", "lora_magnitude_vector")
        parts = zip(names, (item.A, item.B, item.bias, item.magnitude), strict=True)
        tensors |= {f"{path}.{name}": tensor for name, tensor in parts if tensor is not None}
    for path, tensor in adapter.replaced.items():
        module, _, own = path.rpartition(".")
        tensors[f"{module}.base_layer.{own}" if module in adapter.factors else path] = tensor
    return tensors


def _config(adapter: Adapter) -> dict[str, Any]:
    config, factors = adapter.config, adapter.factors
    ranks = {path: item.rank for path, item in factors.items()}
    roots = {path: math.sqrt(rank) if config.rslora else rank for path, rank in ranks.items()}
    alphas = {path: _tidy(item.scale * roots[path]) for path, item in factors.items()}
    rank, alpha = _common(ranks), _common(alphas)
    return {
        "peft_type": "LORA",
        "task_type": config.task,
        "base_model_name_or_path": config.base or None,
        "inference_mode": True,
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "use_rslora": config.rslora,
        "rank_pattern": _exceptions(ranks, rank),
        "alpha_pattern": _exceptions(alphas, alpha),
        "target_modules": _plain(config.targets) or sorted(factors),
        "exclude_modules": _plain(config.exclude),
        "layers_to_transform": _plain(config.layers),
        "layers_pattern": _plain(config.layers_pattern),
        "fan_in_fan_out": config.fan_in_fan_out,
        "bias": config.bias,
        "use_dora": config.dora,
        "lora_bias": config.lora_bias,
        "modules_to_save": list(config.saved) or None,
    }


def _common(values: Mapping[str, Any]) -> Any:
    return Counter(values.values()).most_common(1)[0][0]


def _exceptions(values: Mapping[str, Any], usual: Any) -> dict[str, Any]:
    """Patterns for the modules that differ, longest path first: a key also matches paths that end with it."""
    other = sorted((path for path in values if values[path] != usual), key=len, reverse=True)
    return {path: values[path] for path in other}


def _tidy(alpha: float) -> float | int:
    """Alpha as a person wrote it: 16 and not 15.999999999999998."""
    return round(alpha) if math.isclose(alpha, round(alpha), rel_tol=1e-12) else alpha


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value

"""The other yardstick: a float64 copy of the base with every adapter merged into its weights, densely.

    W' = W + sum_e g_e (c_e (W + s_e B_e A_e) - W)

c_e = m_e / |W + s_e B_e A_e| by output row under DoRA, else 1. Straight from the files and the papers (LoRA
2106.09685, rsLoRA 2312.03732, DoRA 2402.09353); nothing of the engine is used.
"""

from __future__ import annotations

import copy
import json
import math
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from tests.engine.lora.zoo.bases import answer, build

_PARTS = {
    "lora_A.weight": "A",
    "lora_B.weight": "B",
    "lora_B.bias": "bias",
    "lora_magnitude_vector": "m",
    "lora_embedding_A": "A",
    "lora_embedding_B": "B",
}


def dense(
    base: str,
    folders: Mapping[str, Path],
    weights: Mapping[str, float],
    start: nn.Module | None = None,
) -> nn.Module:
    """The base (or ``start``, one with other numbers) in float64, with ``folders`` merged at ``weights``.

    Modules that the model reads without calling them keep their weights: an adapter is a change of calls.
    """
    original = copy.deepcopy(start or build(base)).double()
    model = copy.deepcopy(original)
    unread = uncalled(original, base)
    total: dict[str, Tensor] = {}
    for name, weight in weights.items():
        for path, change in changes(original, folders[name], unread).items():
            total[path] = total.get(path, 0.0) + weight * change
    for path, change in total.items():
        module, _, leaf = path.rpartition(".")
        owner = model.get_submodule(module)
        there = original.get_submodule(module)._parameters.get(leaf)
        setattr(owner, leaf, nn.Parameter(change if there is None else there + change, False))  # unties, too
    return model


def uncalled(model: nn.Module, base: str) -> set[str]:
    """The modules that the model does not call when it is asked."""
    called: set[nn.Module] = set()
    handles = [m.register_forward_pre_hook(lambda module, _: called.add(module)) for m in model.modules()]
    answer(model, base)
    for handle in handles:
        handle.remove()
    return {path for path, module in model.named_modules() if module not in called}


def changes(original: nn.Module, folder: Path, unread: set[str]) -> dict[str, Tensor]:
    """{parameter: what the adapter adds to it at weight 1}."""
    config = json.loads((folder / "adapter_config.json").read_text())
    parts: dict[str, dict[str, Tensor]] = defaultdict(dict)
    found: dict[str, Tensor] = {}
    for key, tensor in load_file(folder / "adapter_model.safetensors").items():
        path = key.removeprefix("base_model.model.")
        ending = next((ending for ending in _PARTS if path.endswith(f".{ending}")), None)
        if ending:
            parts[path.removesuffix(f".{ending}")][_PARTS[ending]] = tensor.double()
        elif (
            ".original_module." not in path
        ):  # what PEFT keeps of the base beside a module of the adapter's own
            path = path.replace(".base_layer.", ".").replace(".modules_to_save.", ".")
            found[path] = tensor.double() - original.get_parameter(path)
    for path, part in parts.items():
        if path in unread:
            continue
        module = original.get_submodule(path)
        scale = _scale(config, path)
        delta = scale * part["B"] @ part["A"]
        W = module.weight if isinstance(module, nn.Linear) else module.weight.t()  # [d_out, ...]
        if "m" in part:
            whole = W + delta
            delta = part["m"].unsqueeze(1) / whole.norm(dim=1, keepdim=True) * whole - W
        found[f"{path}.weight"] = delta if isinstance(module, nn.Linear) else delta.t()
        if "bias" in part:
            found[f"{path}.bias"] = found.get(f"{path}.bias", 0.0) + scale * part["bias"]
        assert isinstance(module, nn.Linear | Conv1D | nn.Embedding)
    return found


def _scale(config: Mapping[str, Any], path: str) -> float:
    rank = _lookup(config["rank_pattern"], path, config["r"])
    alpha = _lookup(config["alpha_pattern"], path, config["lora_alpha"])
    return alpha / (math.sqrt(rank) if config["use_rslora"] else rank)


def _lookup(pattern: Mapping[str, float], path: str, usual: float) -> float:
    return next((value for key, value in pattern.items() if re.match(rf"(.*\.)?({key})$", path)), usual)

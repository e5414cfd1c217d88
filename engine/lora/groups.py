"""Which projections read the same input (q, k, v; gate, up), found by watching one forward pass."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["shared_inputs"]

_log = logging.getLogger(__name__)
# What a model may raise at an input it was not made for; anything else is a fault and passes through.
_UNFIT = (
    TypeError,
    ValueError,
    RuntimeError,
    LookupError,
    AttributeError,
    AssertionError,
    NotImplementedError,
)


def shared_inputs(model: nn.Module, places: Mapping[str, nn.Module]) -> list[list[str]]:
    """The paths of ``places`` in groups whose members were handed the very same tensor, in order of call.

    The model runs once on its own ``dummy_inputs``, in evaluation mode, without gradient, its random state
    and modes restored. Where it cannot run, every projection is a group of its own: slower, never wrong.
    """
    calls = _watch(model, places)
    by_input: dict[tuple[int, int], list[str]] = {}
    for path, inputs in calls.items():
        if len(inputs) == 1:  # a projection that is called twice shares with nobody
            by_input.setdefault((id(inputs[0][0]), inputs[0][1]), []).append(path)
    groups = list(by_input.values())
    grouped = {path for group in groups for path in group}
    return groups + [[path] for path in places if path not in grouped]


def _watch(model: nn.Module, places: Mapping[str, nn.Module]) -> dict[str, list[tuple[Tensor, int]]]:
    """{path: [(input, its version)]} of one pass, in order of first call. Inputs stay alive: ids are
    unique."""
    dummy = getattr(model, "dummy_inputs", None)
    if not isinstance(dummy, dict):
        return {}
    calls: dict[str, list[tuple[Tensor, int]]] = {}

    def note(path: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
            calls.setdefault(path, []).append((args[0], args[0]._version))

        return hook

    modes = {module: module.training for module in model.modules()}
    handles = [module.register_forward_pre_hook(note(path)) for path, module in places.items()]
    device = next(model.parameters()).device
    accepts = inspect.signature(model.forward).parameters
    inputs = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in dummy.items()}
    if "use_cache" in accepts:
        inputs["use_cache"] = False
    try:
        model.eval()
        with torch.random.fork_rng(), torch.inference_mode(False), torch.no_grad():
            model(**inputs)
    except _UNFIT as error:
        _log.info("no shared inputs could be found: %s", error)
        return {}
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    return calls

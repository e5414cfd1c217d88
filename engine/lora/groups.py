"""Which projections read the same input (q, k, v; gate, up), found by watching one forward pass."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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

    The model runs once on its own ``dummy_inputs``, unnoticed. Where it cannot run, every projection is
    a group of its own: slower, never wrong.
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

    device = next(model.parameters()).device
    accepts = inspect.signature(model.forward).parameters
    inputs = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in dummy.items()}
    if "use_cache" in accepts:
        inputs["use_cache"] = False
    try:
        with _unnoticed(model, device):
            for path, module in places.items():
                module.register_forward_pre_hook(note(path))
            model(**inputs)
    except _UNFIT as error:
        _log.info("no shared inputs could be found: %s", error)
        return {}
    return calls


@contextmanager
def _unnoticed(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Evaluation mode, no gradient, nobody's hooks; afterwards modes, hooks and random state are back."""
    kept = [(m, m.training, dict(m._forward_pre_hooks), dict(m._forward_hooks)) for m in model.modules()]
    try:
        model.eval()
        for module, *_ in kept:
            module._forward_pre_hooks.clear()
            module._forward_hooks.clear()
        cuda = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(cuda), torch.inference_mode(False), torch.no_grad():
            yield
    finally:
        for module, training, before, after in kept:
            module.training = training
            for hooks, others in ((module._forward_pre_hooks, before), (module._forward_hooks, after)):
                hooks.clear()
                hooks.update(others)

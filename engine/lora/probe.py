"""One pass over a base, unnoticed: which modules read the same input, which are heard, which are bypassed."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

__all__ = ["Probe", "outputs", "probe"]

_log = logging.getLogger(__name__)
_TOKENS = 4
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


@dataclass(frozen=True)
class Probe:
    """What one pass has shown of the modules asked for.

    ``groups``: their paths, those that were handed the very same tensor together, in order of call.
    ``bypassed``: the output depends on their weight although they were never called, as where a fused
    kernel reads it: a hook there is never heard. ``ignored``: called, but the output does not depend on
    them; or not called, and read only as another module's (T5's shared table). ``unreached``: neither
    called nor read in this pass.
    """

    groups: list[list[str]]
    bypassed: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    unreached: frozenset[str] = frozenset()


def probe(model: nn.Module, places: Mapping[str, nn.Module]) -> Probe:
    """Run ``model`` once on a few tokens (or one blank picture) and watch ``places``.

    What the output depends on is read off the graph that autograd keeps; nothing is computed backwards. Where
    the model cannot run, every module is a group of its own (slower, never wrong) and unreached.
    """
    watch = _Watch(places)
    try:
        with _unnoticed(model), watch:
            heard = watch.leaves(_tensors(model(**_inputs(model))))
    except _UNFIT as error:
        _log.info("the base could not be probed: %s", error)
        return Probe([[path] for path in places], unreached=frozenset(places))
    called, missed = watch.calls.keys(), places.keys() - watch.calls.keys()
    ignored = {path for path in called if not any(id(call.mark) in heard for call in watch.calls[path])}
    read = {path for path in missed if id(watch.weights.get(path)) in heard}
    lent = {path for path in read if _is_lent(model, watch.weights[path])}
    return Probe(
        _groups(watch.calls, places),
        frozenset(read - lent),
        frozenset(ignored | lent) if watch.graph else frozenset(),
        frozenset(missed - read),
    )


def outputs(model: nn.Module) -> list[Tensor]:
    """What ``model`` answers to the probe's input as it is now, everybody's hooks included."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        with _aside(model), torch.no_grad():
            return _tensors(model(**_inputs(model)))
    finally:
        for module, training in modes:
            module.training = training


@dataclass(frozen=True, eq=False)
class _Call:
    """One call of a module: what it was given, that tensor's version, and the zero added to its output."""

    given: Tensor
    version: int
    mark: Tensor


class _Watch:
    """Around one forward pass: notes each call of ``places``, and lets their weights take part in the graph.

    Inputs stay alive, so that their ids are unique. Of a base loaded in inference mode there is no graph.
    """

    def __init__(self, places: Mapping[str, nn.Module]) -> None:
        self.calls: dict[str, list[_Call]] = {}
        self._places = places
        own = {path: module._parameters.get("weight") for path, module in places.items()}
        self.weights = {p: w for p, w in own.items() if w is not None and w.is_floating_point()}
        self.graph = not any(weight.is_inference() for weight in self.weights.values())
        self._wanted = [(weight, weight.requires_grad) for weight in self.weights.values()]
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> None:
        torch.set_grad_enabled(self.graph)
        for path, module in self._places.items():
            self._handles.append(module.register_forward_hook(self._hook(path)))
        if self.graph:
            for weight, _ in self._wanted:
                weight.requires_grad_(True)

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()
        if self.graph:
            for weight, wanted in reversed(self._wanted):  # a tied weight is there twice
                weight.requires_grad_(wanted)

    def _hook(self, path: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
            tensor = isinstance(output, Tensor)
            mark = torch.zeros((), dtype=output.dtype, device=output.device) if tensor else torch.zeros(())
            given = args[0] if args and isinstance(args[0], Tensor) else mark
            self.calls.setdefault(path, []).append(_Call(given, given._version, mark))
            return output + mark.requires_grad_(self.graph) if tensor else output

        return hook

    def leaves(self, tensors: list[Tensor]) -> set[int]:
        """The ids of all leaves that ``tensors`` depend on."""
        seen: set[Any] = set()
        found = set()
        nodes = [tensor.grad_fn for tensor in tensors]
        while nodes:
            node = nodes.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            if hasattr(node, "variable"):
                found.add(id(node.variable))
            nodes += [following for following, _ in node.next_functions]
        return found


def _is_lent(model: nn.Module, weight: Tensor) -> bool:
    """Whether more than one module calls ``weight`` its own."""
    return sum(any(own is weight for own in m._parameters.values()) for m in model.modules()) > 1


def _groups(calls: Mapping[str, list[_Call]], places: Mapping[str, nn.Module]) -> list[list[str]]:
    """Linear projections that were handed the very same tensor; an embedding, or a module called twice, is
    alone."""
    by_input: dict[tuple[int, int], list[str]] = {}
    for path, made in calls.items():
        if len(made) == 1 and not isinstance(places[path], nn.Embedding):
            by_input.setdefault((id(made[0].given), made[0].version), []).append(path)
    firsts = {group[0]: group for group in by_input.values()}
    grouped = {path for group in by_input.values() for path in group}
    called = [firsts.get(path, [path]) for path in calls if path in firsts or path not in grouped]
    return called + [[path] for path in places if path not in calls]


def _inputs(model: nn.Module) -> dict[str, Any]:
    """A few tokens, or a blank picture, or the model's own ``dummy_inputs``, on its device."""
    config, accepts = getattr(model, "config", None), inspect.signature(model.forward).parameters
    tensor = next(model.parameters())
    main = getattr(model, "main_input_name", "input_ids")
    if main == "pixel_values":
        size = getattr(config, "image_size", 224)
        height, width = size if isinstance(size, (list, tuple)) else (size, size)
        shape = (1, getattr(config, "num_channels", 3), height, width)
        return {main: torch.zeros(shape, device=tensor.device, dtype=_kind(model))}
    dummy = getattr(model, "dummy_inputs", None)
    if main != "input_ids" or not isinstance(dummy, dict) or "input_ids" not in dummy:
        inputs = dict(dummy or {})
    else:
        text = getattr(config, "get_text_config", lambda: config)()
        ids = torch.arange(1, _TOKENS + 1).remainder(max(2, getattr(text, "vocab_size", 2)))[None]
        inputs = {"input_ids": ids} | ({"decoder_input_ids": ids} if "decoder_input_ids" in accepts else {})
    inputs = {k: v.to(tensor.device) if isinstance(v, Tensor) else v for k, v in inputs.items()}
    return inputs | ({"use_cache": False} if "use_cache" in accepts else {})


def _kind(model: nn.Module) -> torch.dtype:
    kinds = (tensor.dtype for tensor in model.parameters() if tensor.is_floating_point())
    return next(kinds, torch.float32)


def _tensors(output: Any) -> list[Tensor]:
    if isinstance(output, Tensor):
        return [output]
    if isinstance(output, Mapping):
        output = output.values()
    if isinstance(output, Iterable):
        return [tensor for part in output for tensor in _tensors(part)]
    return []


@contextmanager
def _unnoticed(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, nobody's hooks; afterwards modes, hooks, gradient mode and random state are back.
    Hooks that transformers has given the model, or gives it now, to collect hidden states are its own."""
    kept = [(m, m.training, dict(m._forward_pre_hooks), dict(m._forward_hooks)) for m in model.modules()]
    try:
        for module, *_ in kept:
            for hooks in (module._forward_pre_hooks, module._forward_hooks):
                for key in [key for key, hook in hooks.items() if not _is_own(hook)]:
                    del hooks[key]
        with _aside(model), torch.enable_grad():
            yield
    finally:
        for module, training, before, after in kept:
            module.training = training
            for hooks, others in ((module._forward_pre_hooks, before), (module._forward_hooks, after)):
                others.update(hooks)
                hooks.clear()
                hooks.update(others)


def _is_own(hook: Any) -> bool:
    return str(getattr(hook, "__module__", "")).startswith("transformers.")


@contextmanager
def _aside(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, outside inference mode, random state kept."""
    model.eval()
    device = next(model.parameters()).device
    with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.inference_mode(False):
        yield

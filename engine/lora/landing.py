"""Where an adapter's factors land: its module paths matched to the linear projections of a base."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Protocol

from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear
from transformers.pytorch_utils import Conv1D

from engine.formats.errors import AdapterError

__all__ = ["land", "linear_shape", "linears"]


class _Factors(Protocol):
    @property
    def A(self) -> Tensor: ...
    @property
    def B(self) -> Tensor: ...


def linears(model: nn.Module) -> dict[str, nn.Module]:
    """Every projection that can be adapted, by path: nn.Linear and GPT-2's Conv1D.

    Not the output projection of nn.MultiheadAttention: its weight is read without calling it, so an expert on
    it would never be heard.
    """
    return {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, (nn.Linear, Conv1D)) and not isinstance(module, NonDynamicallyQuantizableLinear)
    }


def linear_shape(module: nn.Module) -> tuple[int, int]:
    """(d_in, d_out) of a projection; Conv1D stores its weight as [d_in, d_out]."""
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    weight = module.weight
    assert isinstance(weight, Tensor)
    return weight.shape[0], weight.shape[1]


def land(name: str, factors: Mapping[str, _Factors], places: Mapping[str, nn.Module]) -> dict[str, str]:
    """{path in the base: path in the adapter} for all of an adapter's modules.

    A path matches exactly, or by the longest ending that it shares with exactly one projection, so that a
    wrong prefix (another wrapper at training time) does no harm; a layer number is never dropped or added.
    AdapterError when a module has no place, when two share one, or when the sizes differ.
    """
    endings = _endings(places)
    landed: dict[str, str] = {}
    lost = []
    for path, item in factors.items():
        place = path if path in places else _by_ending(path, endings)
        if place is None:
            lost.append(path)
            continue
        if place in landed:
            raise AdapterError(
                f"{name} adapts {place} twice: as {landed[place]} and as {path}.", "Export the adapter again."
            )
        _check_shape(name, place, item, places[place])
        landed[place] = path
    if not landed:
        raise AdapterError(
            f"{name} lands nowhere: none of its {len(factors)} modules exists in this base.",
            "It was made for another architecture; choose the base that it was trained on.",
            detail=f"first module: {next(iter(factors), 'none')}",
        )
    if lost:
        raise AdapterError(
            f"{name} adapts {lost[0]}, which this base does not have.",
            "Choose the base that it was trained on.",
        )
    return landed


def _numbered(parts: tuple[str, ...]) -> bool:
    return any(part.isdecimal() for part in parts)


def _endings(places: Mapping[str, nn.Module]) -> dict[tuple[str, ...], list[str]]:
    """Each ending of each path, as long as only words (no layer number) are cut off in front."""
    endings = defaultdict(list)
    for path in places:
        parts = tuple(path.split("."))
        for cut in range(len(parts)):
            if not _numbered(parts[:cut]):
                endings[parts[cut:]].append(path)
    return endings


def _by_ending(path: str, endings: Mapping[tuple[str, ...], list[str]]) -> str | None:
    parts = tuple(path.split("."))
    for cut in range(len(parts)):
        if _numbered(parts[:cut]):
            return None
        found = endings.get(parts[cut:], [])
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _check_shape(name: str, place: str, factors: _Factors, module: nn.Module) -> None:
    (d_in, d_out), theirs = linear_shape(module), (factors.A.shape[1], factors.B.shape[0])
    if theirs == (d_in, d_out):
        return
    if theirs[0] != d_in:
        sizes = f"hidden size {theirs[0]}, yours {d_in}"
    else:
        sizes = f"output size {theirs[1]}, yours {d_out}"
    raise AdapterError(
        f"{name} was made for another base model ({sizes}).",
        "Choose the base that it was trained on.",
        f"{place}: adapter {theirs[0]} -> {theirs[1]}, base {d_in} -> {d_out}",
    )

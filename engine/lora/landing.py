"""Where an adapter's tensors land: its paths matched to the projections, embeddings and parameters of a
base."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear
from transformers.pytorch_utils import Conv1D

from engine.formats.errors import AdapterError
from engine.formats.places import Finder
from engine.lora.adapter import Adapter, Factors

__all__ = ["Place", "embeddings", "land", "land_replaced", "linear_shape", "linears"]

_OTHER = "Choose the base that it was trained on."


def linears(model: nn.Module) -> dict[str, nn.Module]:
    """Every projection that can be adapted, by path: nn.Linear, GPT-2's Conv1D, and whatever stands in for
    a Linear with packed weights (it has in_features and out_features and no parts).

    Not the output projection of nn.MultiheadAttention: its weight is read without calling it, so an expert on
    it would never be heard.
    """
    return {path: module for path, module in model.named_modules() if _is_linear(module)}


def embeddings(model: nn.Module) -> dict[str, nn.Module]:
    """Every table of embeddings, by path."""
    return {path: module for path, module in model.named_modules() if isinstance(module, nn.Embedding)}


def _is_linear(module: nn.Module) -> bool:
    if isinstance(module, (nn.Linear, Conv1D)):
        return not isinstance(module, NonDynamicallyQuantizableLinear)
    sizes = (getattr(module, "in_features", None), getattr(module, "out_features", None))
    return all(type(size) is int for size in sizes) and next(module.children(), None) is None


def linear_shape(module: nn.Module) -> tuple[int, int]:
    """(d_in, d_out) of a projection; of an embedding (vocabulary, width)."""
    if isinstance(module, nn.Embedding):
        return module.num_embeddings, module.embedding_dim
    if isinstance(module, Conv1D):
        return module.nx, module.nf
    assert isinstance(module.in_features, int) and isinstance(module.out_features, int)
    return module.in_features, module.out_features


def land(name: str, adapter: Adapter, model: nn.Module) -> dict[str, str]:
    """{path in the base: path in the adapter} for all of an adapter's factors.

    A path matches exactly, or by the longest ending that it shares with exactly one place, so that a
    wrong prefix (another wrapper at training time) does no harm; a layer number is never dropped or added.
    AdapterError when a module has no place, when two share one, or when the sizes differ.
    """
    projections, tables = linears(model), embeddings(model)
    find, find_table = Finder(projections), Finder(tables)
    landed: dict[str, str] = {}
    lost = []
    for path, item in adapter.factors.items():
        place = (find_table if item.embedding else find)(path)
        if place is None:
            lost.append(path)
            continue
        if place in landed:
            raise AdapterError(
                f"{name} adapts {place} twice: as {landed[place]} and as {path}.", "Export the adapter again."
            )
        _check_shape(name, place, item, (tables if item.embedding else projections)[place])
        landed[place] = path
    if not landed:
        raise AdapterError(
            f"{name} lands nowhere: none of its {len(adapter.factors)} modules exists in this base.",
            "It was made for another architecture; choose the base that it was trained on.",
            detail=f"first module: {next(iter(adapter.factors), 'none')}",
        )
    if lost:
        raise AdapterError(f"{name} adapts {lost[0]}, which this base does not have.", _OTHER)
    return landed


@dataclass(frozen=True)
class Place:
    """A parameter of the base: the module that owns it, and its name there."""

    path: str
    module: nn.Module
    name: str


def land_replaced(name: str, adapter: Adapter, model: nn.Module) -> dict[Place, Tensor]:
    """What replaces which parameter of the base, without what equals the base's own anyway.

    AdapterError when there is no such parameter, or one of another size (another vocabulary), or when a
    saved module is there in part.
    """
    if not adapter.replaced:
        return {}
    owners = _parameters(model)
    find, landed, given = Finder(owners), {}, set()
    for path, tensor in adapter.replaced.items():
        found = find(path)
        if found is None:
            raise AdapterError(f"{name} replaces {path}, which this base does not have.", _OTHER)
        given.add(found)
        place = owners[found]
        own = place.module._parameters[place.name]
        assert own is not None
        if own.shape != tensor.shape:
            raise AdapterError(_say_size(name, found, own, tensor), _OTHER)
        if not bool((tensor.to(own) == own).all()):
            landed[place] = tensor
    for path in owners.keys() - given:
        module = path.rpartition(".")[0]
        if module.endswith(adapter.config.saved) and any(other.startswith(f"{module}.") for other in given):
            raise AdapterError(
                f"{name} replaces {module}, but its file lacks {path}.", "Export the adapter again."
            )
    return landed


def _parameters(model: nn.Module) -> dict[str, Place]:
    return {
        f"{path}.{name}": Place(f"{path}.{name}", module, name)
        for path, module in model.named_modules()
        for name, parameter in module._parameters.items()
        if parameter is not None
    }


def _say_size(name: str, path: str, own: Tensor, tensor: Tensor) -> str:
    vocabulary = tensor.dim() == own.dim() == 2 and tensor.shape[1] == own.shape[1]
    if vocabulary:
        return (
            f"{name} was trained with another vocabulary: its {path} has {tensor.shape[0]:,} entries, this "
            f"base's {own.shape[0]:,}. Added tokens are not played."
        )
    return f"{name} replaces {path} with another size: {list(tensor.shape)}, not {list(own.shape)}."


def _check_shape(name: str, place: str, factors: Factors, module: nn.Module) -> None:
    (d_in, d_out), theirs = linear_shape(module), (factors.A.shape[1], factors.B.shape[0])
    if theirs == (d_in, d_out):
        return
    if theirs[0] != d_in:
        what = "vocabulary of" if factors.embedding else "hidden size"
        sizes = f"{what} {theirs[0]}, yours {d_in}"
    else:
        sizes = f"output size {theirs[1]}, yours {d_out}"
    raise AdapterError(
        f"{name} was made for another base model ({sizes}).",
        _OTHER,
        f"{place}: adapter {theirs[0]} -> {theirs[1]}, base {d_in} -> {d_out}",
    )

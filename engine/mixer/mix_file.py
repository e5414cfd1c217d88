"""A mix saved, loaded, and saved again without one of its experts: the router's tensors, its card and its
experts, checked against the base."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as to_bytes
from torch import nn

from engine.formats.errors import StudioError
from engine.formats.files import atomic_folder, sha256_file
from engine.formats.mix_file import EXPERTS, MIXER, ROUTER, Made, Mix, encode_mix, expert_folders, read_mix
from engine.formats.studio_file import check_ranks
from engine.lora import Adapter, Bank, at_rank, attach, in_order, read_adapter
from engine.lora.landing import embeddings, linear_shape, linears
from engine.lora.write import save_adapter
from engine.messages import RankOrder
from engine.mixer.router import Router

__all__ = ["drop_expert", "load_mix", "save_mix"]


def save_mix(
    folder: Path,
    router: Router,
    bank: Bank,
    *,
    name: str,
    base: str,
    usage: Mapping[str, float] | None = None,
    trained: Mapping[str, Any] | None = None,
    made: Made = "",
    warning: str = "",
) -> Mix:
    """Write the mix of ``bank``'s experts under ``router`` into the existing ``folder`` (see
    ``atomic_folder``).

    ``usage`` is each expert's share on the training data; ``trained`` says how it came to be (spec, seed,
    data), ``made`` in a word; ``warning`` where its routing has collapsed.
    """
    tensors = {path: router.columns(gate).detach().cpu() for gate, path in enumerate(router.paths)}
    (folder / ROUTER).write_bytes(to_bytes(tensors, {"format": "pt"}))
    for expert in bank.experts:
        (folder / EXPERTS / expert).mkdir(parents=True)
        save_adapter(bank.read(expert), folder / EXPERTS / expert)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    mix = Mix(
        name=name,
        base=base,
        experts=list(bank.experts),
        router_input=router.input,
        null_expert=router.null,
        temperature=router.temperature,
        modules=list(router.projections),
        base_shape=_shapes(bank.model, router.layout),
        sha256={path.relative_to(folder).as_posix(): sha256_file(path) for path in files},
        usage=dict(usage or {}),
        trained=dict(trained or {}),
        router_share=router.share,
        groups=[list(group) for group in router.groups] if router.share != "projection" else [],
        activation=router.activation,
        absolute=router.absolute,
        made=made,
        warning=warning,
    )
    (folder / MIXER).write_bytes(encode_mix(mix))
    return mix


def load_mix(
    folder: str | Path,
    model: nn.Module,
    base: str | None = None,
    dtype: torch.dtype | None = None,
    orders: Mapping[str, RankOrder] | None = None,
    ranks: Mapping[str, int] | None = None,
) -> tuple[Bank, Router, Mix]:
    """Attach the mix in ``folder`` to ``model``: its bank (silent as yet), its router and its card.

    The mix plays under ``bank.gates = bank.new_gates({e: 1.0 for e in mix.experts}, router=router)``.
    ``dtype`` is what the experts are computed in (see ``attach``), ``orders`` in which order the columns of
    some of them stand (see ``in_order``): whole they say the same, and the router hears no difference.
    Experts in ``ranks`` are cut to that rank (see ``at_rank``).
    StudioError when files have changed since it was saved, or when it was trained on another base: another
    name than ``base`` where one is given, or projections of other sizes; when an order or a rank is not for
    an expert.
    """
    folder = Path(folder)
    mix = read_mix(folder)
    _check_files(folder, mix)
    _check_base(mix, model, base)
    adapters: dict[str, Adapter] = {
        name: in_order(read_adapter(path), (orders or {}).get(name, ""))
        for name, path in expert_folders(folder, mix).items()
    }
    ranks = ranks or {}
    check_ranks(ranks, {name: (adapter.low, adapter.rank) for name, adapter in adapters.items()})
    adapters |= {name: at_rank(adapters[name], rank) for name, rank in ranks.items()}
    bank = attach(model, adapters, dtype=dtype)
    layout = bank.layout()
    if set(layout) != set(mix.modules):
        bank.detach()
        raise StudioError(
            "failed",
            f"The experts of the mix {mix.name} do not adapt what its router routes.",
            "Train the mix again.",
        )
    router = Router(
        {path: layout[path] for path in mix.modules},
        mix.experts,
        mix.router_input,
        mix.null_expert,
        mix.temperature,
        share=mix.router_share,
        groups=mix.groups,
        activation=mix.activation,
        absolute=mix.absolute,
    )
    tensors = parse_tensors((folder / ROUTER).read_bytes())
    device = next(model.parameters()).device
    for path, V in zip(router.paths, router.V, strict=True):
        if not bool(tensors[path].isfinite().all()):
            bank.detach()
            raise StudioError(
                "failed",
                f"The router of the mix {mix.name} holds numbers that are not finite.",
                "Train the mix again with a smaller learning rate.",
            )
        V.data.copy_(tensors[path])
    return bank, router.requires_grad_(False).to(device), mix


def drop_expert(folder: str | Path, expert: str, model: nn.Module, target: Path, *, name: str) -> Mix:
    """Write the mix in ``folder`` without ``expert`` to the new folder ``target``; nothing is trained.

    StudioError as ``load_mix``, and when the mix has no such expert or no other one.
    """
    bank, router, mix = load_mix(folder, model)
    bank.detach()
    small = router.without(expert)
    rest = attach(model, {other: bank.adapters[other] for other in mix.experts if other != expert})
    try:
        with atomic_folder(target, doing="saving the mix") as work:
            return save_mix(work, small, rest, name=name, base=mix.base, trained=mix.trained, made="dropped")
    finally:
        rest.detach()


def _check_files(folder: Path, mix: Mix) -> None:
    for name, digest in mix.sha256.items():
        path = folder / name
        inside = path.resolve().is_relative_to(folder.resolve())
        if not inside or not path.is_file() or sha256_file(path) != digest:
            raise StudioError(
                "failed",
                f"The mix {mix.name} has changed since it was saved: {name[:120]}.",
                "Train the mix again, or restore the folder from a copy.",
            )


def _check_base(mix: Mix, model: nn.Module, base: str | None) -> None:
    hint = f"Choose the base {mix.base}."
    if base is not None and mix.base and base != mix.base:
        raise StudioError("base", f"The mix {mix.name} was trained on {mix.base}, not on {base}.", hint)
    shapes = _shapes(model, mix.base_shape)
    for path, shape in mix.base_shape.items():
        if shapes.get(path) != tuple(shape):
            raise StudioError(
                "base", f"The mix {mix.name} was trained on another base than this one.", hint, path
            )


def _shapes(model: nn.Module, paths: Iterable[str]) -> dict[str, tuple[int, int]]:
    """(what a router reads, d_out) of each of ``paths`` that the model has; of an embedding its width,
    twice."""
    tables = embeddings(model)
    shapes = {path: linear_shape(module) for path, module in linears(model).items()}
    shapes |= {path: (linear_shape(module)[1],) * 2 for path, module in tables.items()}
    return {path: shapes[path] for path in paths if path in shapes}

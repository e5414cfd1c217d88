"""A mix saved and loaded: the router's tensors, its card and its experts, checked against the base."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load as parse_tensors
from safetensors.torch import save as to_bytes
from torch import nn

from engine.formats.errors import StudioError
from engine.formats.files import sha256_file
from engine.formats.mix_file import EXPERTS, MIXER, ROUTER, Mix, encode_mix, expert_folders, read_mix
from engine.lora import Adapter, Bank, attach, read_adapter
from engine.lora.landing import linear_shape, linears
from engine.lora.write import save_adapter
from engine.mixer.router import Router

__all__ = ["load_mix", "save_mix"]


def save_mix(
    folder: Path,
    router: Router,
    bank: Bank,
    *,
    name: str,
    base: str,
    usage: Mapping[str, float] | None = None,
    trained: Mapping[str, Any] | None = None,
) -> Mix:
    """Write the mix of ``bank``'s experts under ``router`` into the existing ``folder`` (see
    ``atomic_folder``).

    ``usage`` is each expert's share on the training data; ``trained`` says how it came to be (spec, seed,
    data).
    """
    places = linears(bank.model)
    tensors = {path: V.detach().cpu() for path, V in zip(router.paths, router.V, strict=True)}
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
        modules=list(router.paths),
        base_shape={path: linear_shape(places[path]) for path in router.paths},
        sha256={path.relative_to(folder).as_posix(): sha256_file(path) for path in files},
        usage=dict(usage or {}),
        trained=dict(trained or {}),
    )
    (folder / MIXER).write_bytes(encode_mix(mix))
    return mix


def load_mix(folder: str | Path, model: nn.Module, base: str | None = None) -> tuple[Bank, Router, Mix]:
    """Attach the mix in ``folder`` to ``model``: its bank (silent as yet), its router and its card.

    The mix plays under ``bank.gates = bank.new_gates({e: 1.0 for e in mix.experts}, router=router)``.
    StudioError when files have changed since it was saved, or when it was trained on another base: another
    name than ``base`` where one is given, or projections of other sizes.
    """
    folder = Path(folder)
    mix = read_mix(folder)
    _check_files(folder, mix)
    _check_base(mix, model, base)
    adapters: dict[str, Adapter] = {
        name: read_adapter(path) for name, path in expert_folders(folder, mix).items()
    }
    bank = attach(model, adapters)
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
    places = linears(model)
    for path, shape in mix.base_shape.items():
        if path not in places or linear_shape(places[path]) != tuple(shape):
            raise StudioError(
                "base", f"The mix {mix.name} was trained on another base than this one.", hint, path
            )

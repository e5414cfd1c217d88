"""The bank: any number of LoRA experts on a model, by forward hooks only.

    y = W x + B_cat ( g(x) * (A_cat x) )

Two matrix products per projection whatever the number of experts; projections that read the same input
share the first. The model's parameters, module tree and state dict stay untouched, and ``detach`` leaves no
trace.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from engine.formats.errors import AdapterError, StudioError
from engine.lora.adapter import Adapter
from engine.lora.gates import Gates
from engine.lora.hooks import Playing, replacement_hook, site_hook
from engine.lora.landing import embeddings, land, land_replaced, linears
from engine.lora.notes import take_notes
from engine.lora.prefix import Prefix
from engine.lora.probe import probe
from engine.lora.replaced import Added, Replacement, Swapped, Twin, owned, way
from engine.lora.rows import Rows
from engine.lora.stack import Stack, stack
from engine.lora.voice import Router

__all__ = ["Bank", "attach"]


def attach(
    model: nn.Module,
    adapters: Mapping[str, Adapter],
    *,
    trainable: bool = False,
    dtype: torch.dtype | None = None,
) -> Bank:
    """Put ``adapters`` on ``model``, silent until ``activate``. In place; several banks may share one
    model, and add up.
    Attach when the model is where it shall stay: the experts go to its device.

    The experts are computed in float32 as PEFT does (``dtype`` overrides) and cast to the base's format at
    the end. With ``trainable`` their factors are Parameters (``bank.parameters()``), else they are frozen.
    The model runs once on a few tokens, unnoticed, to see who is heard (see ``probe``).

    AdapterError when an adapter, or one module of it, has no place in this base or another size; when two
    replace the same module of it; when one changes nothing at all (unless ``trainable``); and when
    ``trainable`` is asked of more than plain factors.
    """
    _check_asked(model, adapters)
    replaced = {name: land_replaced(name, adapter, model) for name, adapter in adapters.items()}
    landed = {name: land(name, adapter, model) for name, adapter in adapters.items()}
    places = linears(model) | embeddings(model)
    touched = {place for lands in landed.values() for place in lands}
    sites = {path: module for path, module in places.items() if path in touched}
    replacements = owned(replaced)
    if trainable and replacements:
        raise _untrainable(replacements)
    found = probe(model, sites | {item.path: item.module for item in replacements})
    groups = [group for group in ([p for p in group if p in sites] for group in found.groups) if group]
    with torch.inference_mode(False):  # else the factors could never take part in training
        stacked = stack(groups, places, adapters, landed, dtype, trainable)
    ways = [(item.module, way(item, found.bypassed)) for item in replacements]
    bank = Bank(model, dict(adapters), stacked, ways)
    try:
        bank.notes = take_notes(bank, stacked, replacements, found)
    except BaseException:
        bank.detach()
        raise
    return bank


def _check_asked(model: nn.Module, adapters: Mapping[str, Adapter]) -> None:
    if not adapters:
        raise AdapterError("There is no adapter to attach.", "Give at least one.")
    for name, adapter in adapters.items():
        if not isinstance(adapter, Adapter):
            raise AdapterError(
                f"{name} is no adapter, but {type(adapter).__name__}.", "Give read_adapter(folder)."
            )
    if any(tensor.is_meta for tensor in model.parameters()):
        raise AdapterError(
            "This base has no numbers yet: its weights are on the meta device.",
            "Load its weights, then attach.",
        )


def _untrainable(replacements: Sequence[Replacement]) -> AdapterError:
    owners = ", ".join(dict.fromkeys(item.owner for item in replacements))
    return AdapterError(
        f"{owners} cannot be trained further: it replaces modules of the base.",
        "Use it as it is, or start from a plain LoRA.",
    )


class Bank:
    """The experts on one model. ``experts`` are their names, ``modules`` the adapted projections in order
    of call, ``notes`` sentences for the person about what is played otherwise than the files say.

    ``gates`` is what is played. Assigning is the switch; None, or gates that are silent, is exactly the base.
    Not thread-safe: whoever runs the model is the one who assigns.
    """

    notes: tuple[str, ...] = ()

    def __init__(
        self,
        model: nn.Module,
        adapters: dict[str, Adapter],
        stack: Stack,
        replacements: Sequence[tuple[nn.Module, Added | Twin | Swapped]] = (),
    ) -> None:
        self.model = model
        self.adapters = adapters
        self.experts = stack.experts
        self.modules = tuple(path for group in stack.groups for path in group.modules)
        self._stack = stack
        self._playing = playing = Playing()
        self._ranks: dict[str, int | None] = {}
        self._names = list(inspect.signature(model.forward).parameters)
        self._handles = [
            model.register_forward_pre_hook(self._before, with_kwargs=True),
            model.register_forward_hook(self._after, with_kwargs=True, always_call=True),
        ]

        self._swapped = [one for _, one in replacements if isinstance(one, Swapped)]

        def hook_up(kind: type[Added] | type[Twin]) -> None:
            for module, one in replacements:
                if isinstance(one, kind):
                    hook = replacement_hook(playing, one)
                    self._handles.append(module.register_forward_hook(hook, with_kwargs=True))

        hook_up(Twin)
        for group in stack.groups:
            for site in group.sites:
                self._handles.append(site.module.register_forward_hook(site_hook(playing, group, site)))
        hook_up(Added)  # last: what is added escapes a DoRA

    @property
    def gates(self) -> Gates | Rows | None:
        return self._playing.gates

    @gates.setter
    def gates(self, gates: Gates | Rows | None) -> None:
        self._playing.gates = gates

    def new_gates(
        self,
        weights: Mapping[str, float],
        ranks: Mapping[str, int | None] | None = None,
        router: Router | None = None,
    ) -> Gates:
        """Gates for this bank: a weight per expert (absent: silent), a rank where not all of it, maybe a
        router."""
        self._check_attached()
        with torch.no_grad():
            return Gates(self._stack, weights, ranks or {}, router)

    def new_rows(self, gates: Sequence[Gates | None]) -> Rows:
        """For ``bank.gates``: row i of each batch is played by ``gates[i]``, None: silent. A(x) is computed
        once for all rows, and each gates' own tape records its rows."""
        self._check_attached()
        return Rows(self._stack, gates)

    def activate(self, weights: Mapping[str, float]) -> None:
        """Play ``weights`` without a router; ``{}`` is the base. Ranks set by ``set_rank`` stay."""
        self.gates = self.new_gates(weights, self._ranks)

    def set_rank(self, expert: str, rank: int | None) -> None:
        """Let ``expert`` speak with its first ``rank`` columns from the next forward on; None is all of
        it. A DoRA's magnitude then belongs to what is left of it (see ``dora``)."""
        self._stack.check(expert, rank)
        self._ranks[expert] = rank
        if self.gates is not None:
            with torch.no_grad():
                self.gates.set_rank(expert, rank)

    def layout(self) -> dict[str, tuple[int, tuple[str, ...]]]:
        """{module: (size of what its router reads, the experts that adapt it)}: what a router is built from.
        The router of an embedding reads the base's own vectors."""
        return {site.path: (site.width, tuple(site.cells)) for site in self._stack.sites}

    def groups(self) -> list[tuple[str, ...]]:
        """The adapted modules, those that read one input together (q, k, v; gate, up), in order of call."""
        return [group.modules for group in self._stack.groups]

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """The trainable tensors by name: "PATH.A" for the first projection of a group, "PATH.B" for each."""
        groups = self._stack.groups
        named = {f"{group.sites[0].path}.A": group.A for group in groups}
        named |= {f"{site.path}.B": site.B for site in self._stack.sites}
        return {name: tensor for name, tensor in named.items() if isinstance(tensor, nn.Parameter)}

    def parameters(self) -> list[nn.Parameter]:
        """The trainable tensors; none unless attached with ``trainable``."""
        return list(self.named_parameters().values())

    def read(self, expert: str) -> Adapter:
        """The expert as it is now, after any training, as an adapter of its own (copies, on the CPU)."""
        self._stack.check(expert)
        source = self.adapters[expert]
        if not self._stack.trainable:
            return source
        factors = {}
        for group in self._stack.groups:
            for site in group.sites:
                if expert in site.cells:
                    cell = site.cells[expert]
                    A = group.A[cell.start : cell.stop]
                    B = site.B[cell.start - site.first : cell.stop - site.first].t()
                    A, B = (F.detach().cpu().clone(memory_format=torch.contiguous_format) for F in (A, B))
                    factors[cell.path] = replace(cell.factors, A=A, B=B)
        return replace(source, factors={path: factors[path] for path in source.factors}, sha256="")

    def detach(self) -> None:
        """Take every hook away; the model is bit for bit what it was."""
        self.gates = None
        self._take_back()
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _check_attached(self) -> None:
        if not self._handles:
            raise StudioError("usage", "This bank has been detached.", "Attach the adapters again.")

    def _before(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        gates, playing = self.gates, self._playing
        self._take_back()
        if gates is None or gates.silent:
            return
        playing.inside = True
        for swapped in self._swapped:
            swapped.put(gates.fader)
        if not gates.routed:
            return
        if args:
            kwargs = dict(zip(self._names, args, strict=False)) | kwargs
        text = kwargs.get("input_ids")
        if text is None:
            text = kwargs.get("inputs_embeds")
        gates.begin(None if text is None else (text.shape[0], text.shape[1]))
        if gates.remembers:
            playing.prefix = Prefix(kwargs.get("attention_mask"), _cache(kwargs))

    def _take_back(self) -> None:
        """Also of a forward pass that was broken off: after a KeyboardInterrupt no hook is called."""
        for swapped in self._swapped:
            swapped.take_back()

    def _after(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        playing = self._playing
        if not playing.inside:
            return
        playing.inside = False
        self._take_back()
        for group in self._stack.groups:
            group.x, group.h = None, ()
        prefix, playing.prefix = playing.prefix, None
        whole = output is not None  # else the forward has failed
        if whole and prefix is not None:
            prefix.close(_cache(output) or prefix.cache)
        if self.gates is not None:
            self.gates.end(whole)


def _cache(held: Any) -> Any:
    """Where a model keeps what it has read: keys and values, or a Mamba's states."""
    for name in ("past_key_values", "cache_params"):
        cache = held.get(name) if isinstance(held, dict) else getattr(held, name, None)
        if cache is not None:
            return cache
    return None

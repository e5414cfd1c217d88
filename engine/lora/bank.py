"""The bank: any number of LoRA experts on a model, by forward hooks only.

    y = W x + B_cat ( g(x) * (A_cat x) )

Two matrix products per projection whatever the number of experts; projections that read the same input
share the first. The model's parameters, module tree and state dict stay untouched, and ``detach`` leaves no
trace.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from engine.formats.errors import AdapterError, StudioError
from engine.lora.adapter import Adapter, Factors
from engine.lora.gates import Gates, Router
from engine.lora.groups import shared_inputs
from engine.lora.landing import land, linear_shape, linears
from engine.lora.prefix import Prefix
from engine.lora.stack import Group, Site, stack

__all__ = ["Bank", "attach"]


def attach(
    model: nn.Module,
    adapters: Mapping[str, Adapter],
    *,
    trainable: bool = False,
    dtype: torch.dtype | None = None,
) -> Bank:
    """Put ``adapters`` on ``model``, silent until ``activate``. In place; several banks may share one model.
    Attach when the model is where it shall stay: the experts go to its device.

    The experts are computed in float32 as PEFT does (``dtype`` overrides) and cast to the base's format at
    the end. With ``trainable`` their factors are Parameters (``bank.parameters()``), else they are frozen.
    AdapterError when an adapter, or one module of it, has no place in this base or another size.
    """
    if not adapters:
        raise AdapterError("There is no adapter to attach.", "Give at least one.")
    places = linears(model)
    landed = {name: land(name, adapter.factors, places) for name, adapter in adapters.items()}
    touched = {place for lands in landed.values() for place in lands.values()}
    shared = shared_inputs(model, {path: places[path] for path in places if path in touched})
    return Bank(model, dict(adapters), stack(shared, places, adapters, landed, dtype, trainable), trainable)


class Bank:
    """The experts on one model. ``experts`` are their names, ``modules`` the adapted projections in order
    of call."""

    def __init__(
        self, model: nn.Module, adapters: dict[str, Adapter], groups: list[Group], trainable: bool
    ) -> None:
        self.model = model
        self.adapters = adapters
        self.experts = tuple(adapters)
        self.modules = tuple(path for group in groups for path in group.modules)
        self._groups = groups
        self._trainable = trainable
        self._gates: Gates | None = None
        self._playing: Gates | None = None
        self._prefix: Prefix | None = None
        self._inside = False
        self._ranks: dict[str, int | None] = {}
        self._names = list(inspect.signature(model.forward).parameters)
        self._handles = [
            model.register_forward_pre_hook(self._before, with_kwargs=True),
            model.register_forward_hook(self._after, with_kwargs=True, always_call=True),
        ]
        for group in groups:
            for site in group.sites:
                self._handles.append(site.module.register_forward_hook(self._hook(group, site)))

    @property
    def gates(self) -> Gates | None:
        """What is played. Assigning is the switch; None, or gates that are all zero, is exactly the base."""
        return self._gates

    @gates.setter
    def gates(self, gates: Gates | None) -> None:
        self._gates = gates
        self._playing = None if gates is None or gates.silent else gates

    def new_gates(
        self,
        weights: Mapping[str, float],
        ranks: Mapping[str, int | None] | None = None,
        router: Router | None = None,
    ) -> Gates:
        """Gates for this bank: a weight per expert (absent: silent), a rank where not all of it, maybe a
        router."""
        for name, weight in weights.items():
            self._know(name)
            if not weight - weight == 0:
                raise StudioError(
                    "usage", f"The weight of {name} is not a finite number.", "Give another one."
                )
        for name in ranks or {}:
            self._know(name)
        with torch.no_grad():
            return Gates(self._groups, weights, ranks or {}, router, trainable=self._trainable)

    def activate(self, weights: Mapping[str, float]) -> None:
        """Play ``weights`` without a router; ``{}`` is the base. Ranks set by ``set_rank`` stay."""
        self.gates = self.new_gates(weights, self._ranks)

    def set_rank(self, expert: str, rank: int | None) -> None:
        """Let ``expert`` speak with its first ``rank`` columns from the next forward on; None is all of
        it."""
        self._know(expert)
        self._ranks[expert] = rank
        if self._gates is not None:
            self._gates.set_rank(expert, rank)
            self.gates = self._gates

    def layout(self) -> dict[str, tuple[int, tuple[str, ...]]]:
        """{projection: (d_in, the experts that adapt it)}: what a router is built from."""
        sites = (site for group in self._groups for site in group.sites)
        return {site.path: (linear_shape(site.module)[0], tuple(site.cells)) for site in sites}

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """The trainable tensors by name: "PATH.A" for the first projection of a group, "PATH.B" for each."""
        if not self._trainable:
            return {}
        named = {f"{group.sites[0].path}.A": group.A for group in self._groups}
        named |= {f"{site.path}.B": site.B for group in self._groups for site in group.sites}
        return {name: tensor for name, tensor in named.items() if isinstance(tensor, nn.Parameter)}

    def parameters(self) -> list[nn.Parameter]:
        """The trainable tensors; none unless attached with ``trainable``."""
        return list(self.named_parameters().values())

    def read(self, expert: str) -> Adapter:
        """The expert as it is now, after any training, as an adapter of its own (copies, on the CPU)."""
        self._know(expert)
        source = self.adapters[expert]
        if not self._trainable:
            return source
        factors = {}
        for group in self._groups:
            first = 0
            for site, size in zip(group.sites, group.sizes, strict=True):
                if expert in site.cells:
                    cell = site.cells[expert]
                    A = group.A[cell.start : cell.stop].detach().cpu().clone()
                    B = site.B[cell.start - first : cell.stop - first].detach().cpu().t().contiguous()
                    factors[cell.path] = Factors(A, B, cell.scale)
                first += size
        return Adapter(source.name, source.config, {path: factors[path] for path in source.factors})

    def detach(self) -> None:
        """Take every hook away; the model is bit for bit what it was."""
        self.gates = None
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _know(self, name: str) -> None:
        if name not in self.adapters:
            raise StudioError(
                "usage", f"There is no expert {name} here.", f"There are: {', '.join(self.experts)}."
            )

    def _before(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        gates = self._playing
        if gates is None:
            return
        gates.begin()
        self._inside = True
        if gates.router is not None and gates.router.remembers:
            if len(args) > 1:
                kwargs = dict(zip(self._names, args, strict=False)) | kwargs
            self._prefix = Prefix(kwargs.get("attention_mask"), kwargs.get("past_key_values"))

    def _after(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if not self._inside:
            return
        self._inside = False
        for group in self._groups:
            group.x, group.h = None, ()
        prefix, self._prefix = self._prefix, None
        if output is None:  # the forward failed
            return
        if prefix is not None:
            prefix.close(getattr(output, "past_key_values", None) or prefix.cache)
        if self._playing is not None:
            self._playing.end()

    def _hook(self, group: Group, site: Site) -> Callable[[nn.Module, Any, Tensor], Tensor | None]:
        place, alone, last = group.sites.index(site), group.alone, not group.alone and group.sites[-1] is site
        d_out, dtype = site.d_out, site.B.dtype

        def hook(module: nn.Module, args: Any, output: Tensor) -> Tensor | None:
            gates = self._playing
            if gates is None:
                return None
            x = args[0]
            if group.x is x:
                h = group.h
            else:
                h = gates.columns(group, x, self._prefix)
                if not alone and self._inside:
                    group.x, group.h = x, h
            if last:
                group.x, group.h = None, ()
            flat = output.view(-1, d_out)
            if flat.dtype == dtype:
                if not torch.is_grad_enabled():  # the output is this call's own tensor: add to it in place
                    flat.addmm_(h[place], site.B)
                    return None
                return torch.addmm(flat, h[place], site.B).view(output.shape)
            return torch.addmm(flat.to(dtype), h[place], site.B).to(output.dtype).view(output.shape)

        return hook

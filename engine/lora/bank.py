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
from engine.lora.stack import Group, Site, Stack, stack

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
    touched = {place for lands in landed.values() for place in lands}
    shared = shared_inputs(model, {path: places[path] for path in places if path in touched})
    with torch.inference_mode(False):  # else the factors could never take part in training
        stacked = stack(shared, places, adapters, landed, dtype, trainable)
    return Bank(model, dict(adapters), stacked)


class Bank:
    """The experts on one model. ``experts`` are their names, ``modules`` the adapted projections in order
    of call.

    ``gates`` is what is played. Assigning is the switch; None, or gates that are silent, is exactly the base.
    Not thread-safe: whoever runs the model is the one who assigns.
    """

    def __init__(self, model: nn.Module, adapters: dict[str, Adapter], stack: Stack) -> None:
        self.model = model
        self.adapters = adapters
        self.experts = stack.experts
        self.modules = tuple(path for group in stack.groups for path in group.modules)
        self.gates: Gates | None = None
        self._stack = stack
        self._prefix: Prefix | None = None
        self._inside = False
        self._ranks: dict[str, int | None] = {}
        self._names = list(inspect.signature(model.forward).parameters)
        self._handles = [
            model.register_forward_pre_hook(self._before, with_kwargs=True),
            model.register_forward_hook(self._after, with_kwargs=True, always_call=True),
        ]
        for group in stack.groups:
            for site in group.sites:
                self._handles.append(site.module.register_forward_hook(self._hook(group, site)))

    def new_gates(
        self,
        weights: Mapping[str, float],
        ranks: Mapping[str, int | None] | None = None,
        router: Router | None = None,
    ) -> Gates:
        """Gates for this bank: a weight per expert (absent: silent), a rank where not all of it, maybe a
        router."""
        if not self._handles:
            raise StudioError("usage", "This bank has been detached.", "Attach the adapters again.")
        with torch.no_grad():
            return Gates(self._stack, weights, ranks or {}, router)

    def activate(self, weights: Mapping[str, float]) -> None:
        """Play ``weights`` without a router; ``{}`` is the base. Ranks set by ``set_rank`` stay."""
        self.gates = self.new_gates(weights, self._ranks)

    def set_rank(self, expert: str, rank: int | None) -> None:
        """Let ``expert`` speak with its first ``rank`` columns from the next forward on; None is all of
        it."""
        self._stack.check(expert, rank)
        self._ranks[expert] = rank
        if self.gates is not None:
            self.gates.set_rank(expert, rank)

    def layout(self) -> dict[str, tuple[int, tuple[str, ...]]]:
        """{projection: (d_in, the experts that adapt it)}: what a router is built from."""
        sites = (site for group in self._stack.groups for site in group.sites)
        return {site.path: (linear_shape(site.module)[0], tuple(site.cells)) for site in sites}

    def groups(self) -> list[tuple[str, ...]]:
        """The adapted projections in order of call, those that read one input together."""
        return [group.modules for group in self._stack.groups]

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """The trainable tensors by name: "PATH.A" for the first projection of a group, "PATH.B" for each."""
        groups = self._stack.groups
        named = {f"{group.sites[0].path}.A": group.A for group in groups}
        named |= {f"{site.path}.B": site.B for group in groups for site in group.sites}
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
                    factors[cell.path] = Factors(A, B, cell.scale)
        return Adapter(source.name, source.config, {path: factors[path] for path in source.factors})

    def detach(self) -> None:
        """Take every hook away; the model is bit for bit what it was."""
        self.gates = None
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _before(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        gates = self.gates
        if gates is None or gates.silent:
            return
        self._inside = True
        if gates.router is None:
            return
        if args:
            kwargs = dict(zip(self._names, args, strict=False)) | kwargs
        text = kwargs.get("input_ids")
        if text is None:
            text = kwargs.get("inputs_embeds")
        gates.begin(None if text is None else (text.shape[0], text.shape[1]))
        if gates.router.remembers:
            self._prefix = Prefix(kwargs.get("attention_mask"), kwargs.get("past_key_values"))

    def _after(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if not self._inside:
            return
        self._inside = False
        for group in self._stack.groups:
            group.x, group.h = None, ()
        prefix, self._prefix = self._prefix, None
        whole = output is not None  # else the forward has failed
        if whole and prefix is not None:
            prefix.close(getattr(output, "past_key_values", None) or prefix.cache)
        if self.gates is not None:
            self.gates.end(whole)

    def _hook(self, group: Group, site: Site) -> Callable[[nn.Module, Any, Tensor], Tensor | None]:
        place, alone, last = group.sites.index(site), group.alone, not group.alone and group.sites[-1] is site
        d_out, dtype, hooks = site.d_out, site.B.dtype, site.module._forward_hooks

        def hook(module: nn.Module, args: Any, output: Tensor) -> Tensor | None:
            gates = self.gates
            if gates is None or gates.silent:
                return None
            x = args[0]
            if group.x is x:
                h = group.h
            else:
                h = gates.columns(group, x, self._prefix)
                if not alone and (self._inside or _recomputing()):
                    group.x, group.h = x, h
            if last:
                group.x, group.h = None, ()
            flat = output.reshape(-1, d_out)
            if flat.dtype != dtype:
                return torch.addmm(flat.to(dtype), h[place], site.B).to(output.dtype).view(output.shape)
            if torch.is_grad_enabled() or len(hooks) > 1 or not output.is_contiguous():
                return torch.addmm(flat, h[place], site.B).view(output.shape)
            flat.addmm_(h[place], site.B)  # nobody else has seen the output: add to it in place
            return None

        return hook


def _recomputing() -> bool:
    """Whether a backward pass runs, and so a checkpointed part of the forward again."""
    return torch._C._current_graph_task_id() != -1

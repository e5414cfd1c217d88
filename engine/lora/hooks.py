"""What happens at each module of a forward pass: the hooks of the bank, chosen once, at attach."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from engine.lora.gates import Gates
from engine.lora.prefix import Prefix
from engine.lora.replaced import Added, Twin
from engine.lora.rows import Rows
from engine.lora.stack import Group, Site

__all__ = ["Hook", "Playing", "replacement_hook", "site_hook"]

Hook = Callable[[nn.Module, Any, Tensor], Tensor | None]


class Playing:
    """What is played now: the gates, and during a forward pass of the model what its routers remember."""

    def __init__(self) -> None:
        self.gates: Gates | Rows | None = None
        self.prefix: Prefix | None = None
        self.inside = False


def site_hook(playing: Playing, group: Group, site: Site) -> Hook:
    """The hook of one adapted module. A plain projection, by far the most, pays for nothing else."""
    if group.embedding:
        return _embedding_hook(playing, group, site)
    return _linear_hook(playing, group, site) if site.C is None else _dora_hook(playing, group, site)


def _linear_hook(playing: Playing, group: Group, site: Site) -> Hook:
    """y0 + h B"""
    place, alone, last = group.sites.index(site), group.alone, not group.alone and group.sites[-1] is site
    d_out, dtype, hooks = site.d_out, site.B.dtype, site.module._forward_hooks

    def hook(module: nn.Module, args: Any, output: Tensor) -> Tensor | None:
        gates = playing.gates
        if gates is None or gates.silent:
            return None
        x = args[0]
        if group.x is x:
            columns = group.h
        else:
            columns = gates.columns(group, x, playing.prefix)
            if not alone and (playing.inside or _recomputing()):
                group.x, group.h = x, columns
        if last:
            group.x, group.h = None, ()
        h, B = columns[place]
        flat = output.reshape(-1, d_out)
        if flat.dtype != dtype:
            return torch.addmm(flat.to(dtype), h, B).to(output.dtype).view(output.shape)
        if torch.is_grad_enabled() or len(hooks) > 1 or not output.is_contiguous():
            return torch.addmm(flat, h, B).view(output.shape)
        flat.addmm_(h, B)  # nobody else has seen the output: add to it in place
        return None

    return hook


def _dora_hook(playing: Playing, group: Group, site: Site) -> Hook:
    """y0 + h B + y0 * (h C)"""
    place, d_out = group.sites.index(site), site.d_out

    def hook(module: nn.Module, args: Any, output: Tensor) -> Tensor | None:
        gates = playing.gates
        if gates is None or gates.silent:
            return None
        x = args[0]
        if group.x is not x:
            columns = gates.columns(group, x, playing.prefix)
            if playing.inside or _recomputing():
                group.x, group.h = x, columns
        else:
            columns = group.h
        if group.sites[-1] is site:
            group.x, group.h = None, ()
        return (
            _scaled(gates, site, columns[place][0], output.reshape(-1, d_out))
            .to(output.dtype)
            .view(output.shape)
        )

    return hook


def _embedding_hook(playing: Playing, group: Group, site: Site) -> Hook:
    """The same, A read by token."""

    def hook(module: nn.Module, args: Any, output: Tensor) -> Tensor | None:
        gates = playing.gates
        if gates is None or gates.silent:
            return None
        h = gates.looked_up(group, args[0], output, playing.prefix)
        if len(h) * site.d_out != output.numel():  # positions: one row, played differently in each
            output = output.expand(len(h) * site.d_out // output.numel(), *output.shape[1:])
        return _scaled(gates, site, h, output.reshape(-1, site.d_out)).to(output.dtype).view(output.shape)

    return hook


def _scaled(gates: Gates | Rows, site: Site, h: Tensor, flat: Tensor) -> Tensor:
    B, C = gates.form(site)
    flat = flat.to(B.dtype)
    out = torch.addmm(flat, h, B)
    return out if C is None else torch.addcmul(out, flat, torch.mm(h[:, -len(C) :], C))


def replacement_hook(playing: Playing, replacement: Added | Twin) -> Callable[..., Tensor | None]:
    """The hook of a module with parameters of an expert's own."""

    def hook(module: nn.Module, args: Any, kwargs: dict[str, Any], output: Tensor) -> Tensor | None:
        gates = playing.gates
        if gates is None or gates.silent:
            return None
        return replacement(args, kwargs, output, gates.fader)

    return hook


def _recomputing() -> bool:
    """Whether a backward pass runs, and so a checkpointed part of the forward again."""
    return torch._C._current_graph_task_id() != -1

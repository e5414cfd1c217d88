"""What happens at each module of a forward pass: the hooks of the bank, chosen once, at attach.

Several banks that play on one model add up: each adds what it makes of the base's own output, which goes
along with what the banks before it have answered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

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
    """The hook of one adapted module."""
    return (_embedding_hook if group.embedding else _linear_hook)(playing, group, site)


def _linear_hook(playing: Playing, group: Group, site: Site) -> Hook:
    """y0 + h B, of a DoRA y0 + h B + y0 * (h C). A plain projection, by far the most, pays for no more."""
    place, alone, last = group.sites.index(site), group.alone, not group.alone and group.sites[-1] is site
    d_out, dtype, plain, hooks = site.d_out, site.B.dtype, site.C is None, site.module._forward_hooks
    bare = type(site.module) is nn.Linear  # whose own gradient does not need its output

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
        if not plain:
            return _changed(module, gates, site, h, output, _said(output))
        flat = output.reshape(-1, d_out)
        if flat.dtype != dtype:
            flat = flat.to(dtype)
        elif len(hooks) == 1 and output.is_contiguous():  # nobody else has seen it: add to it in place
            if not torch.is_grad_enabled():
                flat.addmm_(h, B)
                return None
            if bare and not output._is_view():
                added: Tensor = _Plus.apply(output, h, B)  # type: ignore[no-untyped-call]
                return added
        return _answer(module, output, torch.addmm(flat, h, B).view(output.shape))

    return hook


class _Plus(torch.autograd.Function):
    """output [..., d_out] + h B, in place: a training step spends no pass over the output on a copy."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, h: Tensor, B: Tensor) -> Tensor:
        ctx.mark_dirty(output)
        ctx.save_for_backward(h, B)
        output.view(-1, output.shape[-1]).addmm_(h, B)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        h, B = ctx.saved_tensors
        flat = slope.reshape(-1, slope.shape[-1])
        wanted = ctx.needs_input_grad
        return (
            slope if wanted[0] else None,
            torch.mm(flat, B.t()) if wanted[1] else None,
            torch.mm(h.t(), flat) if wanted[2] else None,
        )


def _embedding_hook(playing: Playing, group: Group, site: Site) -> Hook:
    """The same, A read by token."""

    def hook(module: nn.Module, args: Any, output: Tensor) -> Tensor | None:
        gates = playing.gates
        if gates is None or gates.silent:
            return None
        said = _said(output)
        h = gates.looked_up(group, args[0], said, playing.prefix)
        if len(h) * site.d_out != said.numel():  # positions: one row, played differently in each
            said = said.expand(len(h) * site.d_out // said.numel(), *said.shape[1:])
        return _changed(module, gates, site, h, output, said)

    return hook


def _changed(
    module: nn.Module, gates: Gates | Rows, site: Site, h: Tensor, output: Tensor, said: Tensor
) -> Tensor:
    """``output`` and what the bank adds to what the base has ``said``."""
    B, C = gates.form(site)
    flat = said.reshape(-1, site.d_out).to(B.dtype)
    own = torch.addmm(flat, h, B)
    if C is not None:
        own = torch.addcmul(own, flat, torch.mm(h[:, -len(C) :], C))
    if _said(output) is not output:
        return _answer(module, output, output + (own - flat).view(said.shape))
    return _answer(module, output, own.view(said.shape))


_SAID = "adapter_studio_said"


def _said(output: Tensor) -> Tensor:
    """What the base itself has said, where other banks have answered before."""
    said: Tensor = getattr(output, _SAID, output)
    return said


def _answer(module: nn.Module, output: Tensor, own: Tensor) -> Tensor:
    """``own`` in the place of ``output``, and with it what the base has said, for banks that come later."""
    own = own.to(output.dtype)
    if len(module._forward_hooks) > 1:
        setattr(own, _SAID, _said(output))
    return own


def replacement_hook(playing: Playing, replacement: Added | Twin) -> Callable[..., Tensor | None]:
    """The hook of a module with parameters of an expert's own."""

    def hook(module: nn.Module, args: Any, kwargs: dict[str, Any], output: Tensor) -> Tensor | None:
        gates = playing.gates
        if gates is None or gates.silent:
            return None
        own = replacement(args, kwargs, output, _said(output), gates.fader)
        return None if own is None else _answer(module, output, own)

    return hook


def _recomputing() -> bool:
    """Whether a backward pass runs, and so a checkpointed part of the forward again."""
    return torch._C._current_graph_task_id() != -1

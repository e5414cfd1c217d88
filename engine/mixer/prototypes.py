"""A router without any training: each expert's prototype is the direction that its own factors amplify most.

    p = softmax(|v_e . x| / t),     v_e the top right singular vector of s_e B_e A_e

after Arrow (arXiv 2405.11157). Projections that share a gate are one tall matrix. A ``context`` router
looks for the same direction in the running mean. Of a DoRA the direction is that of its B A.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.lora import Adapter, Bank
from engine.lora.adapter import Factors
from engine.lora.landing import land
from engine.messages import RouterInput, RouterShare
from engine.mixer.router import Router

__all__ = ["prototype", "prototypes"]


def prototypes(
    bank: Bank,
    input: RouterInput = "local",
    null: bool = False,
    temperature: float = 1.0,
    share: RouterShare = "projection",
) -> Router:
    """A router over the experts of ``bank`` as they are now, ``Router`` says with what settings. The
    defaults are Arrow's. No data is needed."""
    router = Router(
        bank.layout(),
        bank.experts,
        input,
        null,
        temperature,
        share=share,
        groups=bank.groups(),
        absolute=True,
    )
    experts = [(bank.read(name), land(name, bank.adapters[name], bank.model)) for name in bank.experts]
    beside = {path: group for group in bank.groups() for path in group}
    with torch.no_grad():
        for path, V in zip(router.paths, router.V, strict=True):
            # A gate of a layer reads the input of its first group: only that group's factors match it.
            read = [path] if share == "projection" else beside[path]
            for column, (adapter, landed) in enumerate(experts):
                found = _factors(adapter, [landed[module] for module in read if module in landed])
                if found:
                    V[:, column] = prototype(found)
    return router


def prototype(factors: Sequence[Factors]) -> Tensor:
    """[d_in], of length 1: the input direction that the updates ``factors`` together amplify most.

    Of each B only the R of its QR counts, which is [r, r]: B A itself, d_out x d_in, is never formed.
    """
    R = torch.cat([f.scale * (torch.linalg.qr(f.B.double()).R @ f.A.double()) for f in factors])
    first: Tensor = torch.linalg.svd(R, full_matrices=False).Vh[0]
    return first.float()


def _factors(adapter: Adapter, paths: Sequence[str]) -> list[Factors]:
    """Those that read vectors; an embedding's A is read by token."""
    return [adapter.factors[path] for path in paths if not adapter.factors[path].embedding]

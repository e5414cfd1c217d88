"""Ordering by what an adapter says on data: the columns that move its projections' outputs most come first.

    E |s B A x|^2 = s^2 tr(B G B^T),     G = E[(A x)(A x)^T] = L L^T     [r, r]
    B = Q_B R_B,  R_B L = U S V^T   =>   B' = Q_B U S^(1/2),  A' = S^(1/2) V^T L^-1 A

B' A' = B A, and what all columns after the first b say has the mean square s^2 (S_b+1^2 + ...), the least of
any rank b. It is the SVD of B A C^(1/2), C the second moment of x, without C: a change of basis among the
columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn
from torch.nn.functional import embedding

from engine.formats.errors import AdapterError
from engine.formats.files import write_file
from engine.lora.adapter import Adapter, Factors
from engine.lora.landing import land

__all__ = ["Gathering", "Moments", "weigh"]

_FLOOR = 1e-10
"""Of the mean of G's diagonal, added to it: directions that no row has moved stay in the product."""

_DEAD = 1e-14
"""The same of the largest such mean, for a projection that reads nothing at all."""


@dataclass(frozen=True)
class Moments:
    """By module path of the adapter the sum [r, r] of (A x)(A x)^T over the tokens of ``rows`` rows, which
    were chosen among ``of``. In float64."""

    sums: Mapping[str, Tensor]
    rows: int
    of: int

    def save(self, file: Path) -> None:
        """Write them; ``load`` reads them. StudioError("disk") when they do not fit."""
        content = to_bytes(dict(self.sums), {"rows": str(self.rows), "of": str(self.of)})
        write_file(file, content, doing="keeping what was gathered")

    @staticmethod
    def load(file: str | Path) -> Moments:
        """What ``save`` has written."""
        with safe_open(file, "pt") as there:
            told = there.metadata()
            sums = {path: there.get_tensor(path) for path in there.keys()}  # noqa: SIM118
        return Moments(sums, int(told["rows"]), int(told["of"]))


class Gathering:
    """The ``sums`` of Moments, as ``model`` reads one row after another. ``adapter`` need not be attached;
    what each projection reads depends on who plays.

    AdapterError when it does not fit the model.
    """

    def __init__(self, model: nn.Module, adapter: Adapter) -> None:
        modules = dict(model.named_modules())
        self._places = [
            (path, adapter.factors[path], modules[place])
            for place, path in land(adapter.name, adapter, model).items()
        ]
        self.sums = {
            path: torch.zeros(item.rank, item.rank, dtype=torch.float64)
            for path, item in adapter.factors.items()
        }

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Inside, every forward pass counts: of rows without padding."""
        hooks = [
            module.register_forward_pre_hook(partial(self._hear, path, item))
            for path, item, module in self._places
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _hear(self, path: str, item: Factors, module: nn.Module, args: Any) -> None:
        x = args[0].detach()
        A = item.A.to(x.device, torch.float32)
        said = embedding(x.flatten(), A.t()) if item.embedding else x.flatten(0, -2).float() @ A.t()
        said = said.cpu().double()
        self.sums[path] += said.t() @ said


def weigh(plain: Adapter, moments: Moments) -> tuple[Adapter, list[float]]:
    """``plain``, which is in order of energy, put in the order of what it says on data; and which share of
    that each of its own ranks keeps, to stand beside the ``energy`` of the new one.

    The product B A, a bias, a magnitude and what is replaced stay as they are; of a DoRA it is the two
    factors that are weighed. AdapterError when it says nothing on these rows.
    """
    said = torch.zeros(plain.rank, dtype=torch.float64)
    for path, item in plain.factors.items():  # columns of B in order are orthogonal: what they say adds up
        B, G = item.B.double(), moments.sums[path]
        said[: item.rank] += item.scale**2 * B.square().sum(0) * G.diagonal()
    whole = float(said.sum())
    if not whole:
        raise AdapterError(
            f"{plain.name} says nothing on these rows, so they cannot weigh it.", "Give other data."
        )
    means = {path: float(G.diagonal().mean()) for path, G in moments.sums.items()}
    least = _DEAD * max(means.values())
    factors = {
        path: _weigh(item, moments.sums[path], _FLOOR * means[path] + least)
        for path, item in plain.factors.items()
    }
    shares = [float(part) / whole for part in said.cumsum(0)]
    return replace(plain, factors=factors, weighed=True, sha256=""), shares


def _weigh(item: Factors, G: Tensor, floor: float) -> Factors:
    count = int(item.B.any(0).sum())  # in plain order the columns that hold nothing are the last
    B, A, G = item.B[:, :count].double(), item.A[:count].double(), G[:count, :count]
    norms, L = B.norm(dim=0), torch.linalg.cholesky(G + floor * torch.eye(count))
    U, S, Vt = torch.linalg.svd(norms[:, None] * L)
    root = S.sqrt()
    new_B, new_A = torch.zeros_like(item.B), torch.zeros_like(item.A)
    new_B[:, :count] = (B / norms) @ (U * root)
    new_A[:count] = root[:, None] * (Vt @ torch.linalg.solve_triangular(L, A, upper=False))
    return replace(item, A=new_A, B=new_B)

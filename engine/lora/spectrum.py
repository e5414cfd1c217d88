"""How an adapter's energy lies in its projections and ranks, worked out from its factors alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from engine.lora.adapter import Adapter, Factors
from engine.lora.order import energies, energy, order_notes, spread, svd_order
from engine.messages import Spectrum

__all__ = ["spectrum"]

_UNORDERED = (
    "Its columns have no order of their own: as the file has it, a lower rank would be an arbitrary part."
)
_TRAINED = "It was trained at every rank, so that a low rank of it may do more than its energy says."


def spectrum(adapter: Adapter) -> Spectrum:
    """The singular values of every update, and what each rank keeps of all of them; see ``Spectrum``.

    Exact up to rounding, and never forms d_out x d_in. AdapterError where all updates are zero, or one holds
    NaN.
    """
    plain = {path: replace(item, nested=False) for path, item in adapter.factors.items()}
    ordered = svd_order(replace(adapter, kind="lora", factors=plain))
    shared = spread(ordered)
    notes = _notes(adapter, ordered)
    values = [energies(item, weighed=False).sqrt().tolist() for item in ordered.factors.values()]
    return Spectrum(
        kind=adapter.kind,
        modules=list(adapter.factors),
        values=values,
        energy=energy(ordered),
        spread=energy(shared),
        kept=_kept(list(adapter.factors.values()), adapter.rank),
        bytes=[adapter.bytes_at(rank) for rank in range(1, adapter.rank + 1)],
        spread_bytes=[shared.bytes_at(rank) for rank in range(1, adapter.rank + 1)],
        notes=notes,
    )


def _kept(factors: Sequence[Factors], highest: int) -> list[float]:
    """1 less the share of the squared norm by which the first 1, 2, ... columns are off, at their scale."""
    off, whole = torch.zeros(highest, dtype=torch.float64), 0.0
    for item in factors:
        A, B = item.A.double(), item.B.double()
        # Of columns k and l of the update: <B_k A_k, B_l A_l>.
        products = (B.t() @ B) * (A @ A.t()) * item.scale**2
        ranks = torch.arange(1, item.rank + 1, dtype=torch.float64)
        growth = item.rank / ranks if item.nested else torch.ones_like(ranks)  # of the scale, see Factors.cut
        with_all, alone = products.sum(0).cumsum(0), products.cumsum(0).cumsum(1).diagonal()
        total = float(products.sum())
        off[: item.rank] += total - 2 * growth * with_all + growth**2 * alone
        whole += total
    return [1 - float(part) / whole for part in off]


def _notes(adapter: Adapter, ordered: Adapter) -> list[str]:
    own = {"lora": [_UNORDERED], "dylora": [_TRAINED]}.get(adapter.kind, [])
    return [*own, *order_notes(replace(ordered, weighed=adapter.weighed))]

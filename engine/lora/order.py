"""SVD ordering: any LoRA rewritten so that its first b columns are its best approximation of rank b, and
which columns rank b keeps.

B = Q_B R_B,  A^T = Q_A R_A,  R_B R_A^T = U S V^T   =>   B' = Q_B U S^(1/2),  A' = S^(1/2) V^T Q_A^T
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from engine.formats.errors import AdapterError
from engine.formats.studio_file import check_rank
from engine.lora.adapter import Adapter, Factors
from engine.messages import RankOrder

__all__ = ["at_rank", "difference", "energies", "energy", "in_order", "order_notes", "spread", "svd_order"]

_NOTHING = 1e-7
"""Of the largest singular value: below what float32 factors can tell from zero."""


def in_order(adapter: Adapter, order: RankOrder) -> Adapter:
    """``adapter`` with the columns that ``order`` keeps at rank b speaking from rank b on; whole it says the
    same.

    "" is itself, "energy" ``svd_order``. "spread" allocates globally: of n projections together the b n
    columns of most energy, so that one has more than b and another fewer, maybe none; no choice of b n
    columns leaves a smaller error (the Frobenius norm of all that is discarded; where it is ``weighed``, by
    what it says on data). At its highest rank all of it speaks. AdapterError as ``svd_order``.
    """
    if order == "":
        return adapter
    if order == "spread":
        return spread(adapter if adapter.weighed else svd_order(adapter))
    return svd_order(adapter)


def at_rank(adapter: Adapter, rank: int) -> Adapter:
    """What ``adapter`` says at ``rank``, as an adapter of its own: its first columns, or, where they have no
    order, those of most energy. StudioError("usage") for a rank that it does not have."""
    check_rank(adapter.name, rank, adapter.low, adapter.rank)
    if rank == adapter.rank:
        return adapter
    return (svd_order(adapter) if adapter.kind == "lora" else adapter).cut(rank)


def spread(ordered: Adapter) -> Adapter:
    """What ``in_order`` makes of an adapter whose projections are each in order."""
    columns = [
        (-energy, number, path)
        for path, item in ordered.factors.items()
        for number, energy in enumerate(energies(item, ordered.weighed).cummin(0).values.tolist())
    ]
    since: dict[str, list[int]] = {path: [] for path in ordered.factors}
    for place, (_, _, path) in enumerate(sorted(columns)):
        since[path].append(1 + place // len(since))
    factors = {path: replace(item, since=tuple(since[path])) for path, item in ordered.factors.items()}
    return replace(ordered, factors=factors)


def svd_order(adapter: Adapter) -> Adapter:
    """``adapter`` with every projection's columns ordered by energy; the product B A and the scale are the
    same.

    A bias, a magnitude and what is replaced stay as they are; a DoRA that is then cut keeps its magnitude.
    Exact up to rounding (worked in float64, stored in float32) and never forms d_out x d_in: two thin QR
    and an r x r SVD per projection. The result's ``kind`` is "svd": its scale stays constant when columns
    are cut. AdapterError for NaN, and for a DyLoRA: its prefixes are trained as they stand, each with its own
    scale.
    """
    if adapter.kind == "dylora":
        raise AdapterError(
            f"{adapter.name} was trained at every rank, so its columns are not to be ordered anew.",
            "Slide its rank as it is.",
        )
    _check_numbers(adapter)
    factors = {path: _order(item) for path, item in adapter.factors.items()}
    return replace(adapter, factors=factors, kind="svd", weighed=False, sha256="")


def energies(item: Factors, weighed: bool) -> Tensor:
    """The squared singular values [r] of a projection in order, scale included; those of an order by what is
    said on data lie in B alone (see ``weighing``)."""
    B = item.B.double().square().sum(0)
    return item.scale**2 * B * (B if weighed else item.A.double().square().sum(1))


def energy(adapter: Adapter) -> list[float]:
    """The share of the squared Frobenius norm of all updates that ranks 1, 2, ... of an adapter in order
    keep."""
    total = torch.zeros(adapter.rank, dtype=torch.float64)
    for item in adapter.factors.values():
        since = torch.tensor(item.since or range(1, item.rank + 1))
        total.index_add_(0, since - 1, energies(item, adapter.weighed))
    whole = float(total.sum())
    return [float(part) / whole if whole else 1.0 for part in total.cumsum(0)]


def order_notes(ordered: Adapter) -> list[str]:
    """What a person should know of an adapter in order: columns that hold nothing, and what a cut of it
    keeps. AdapterError when all of them are empty."""
    factors = ordered.factors.values()
    used = [int((energies(item, ordered.weighed) > 0).sum()) for item in factors]
    if not max(used):
        raise AdapterError(
            f"The updates of {ordered.name} are zero, so there is nothing to order.", "Train it first."
        )
    notes = []
    spare = sum(count < item.rank for count, item in zip(used, factors, strict=True))
    if spare:
        notes.append(
            f"{spare} of its {len(used)} projections use fewer ranks than they have columns: nothing is "
            f"gained above rank {max(used)}."
        )
    if ordered.weighed:
        notes.append("Its order is that of what its projections say on data, not of their weights.")
    if any(item.magnitude is not None for item in factors):
        notes.append(
            "It is a DoRA: cut to a lower rank it keeps its magnitude, so that its rows point elsewhere but "
            "stay as long; the energy is that of its two factors."
        )
    if ordered.replaced:
        notes.append("It replaces parts of the base, whatever its rank.")
    return notes


def difference(one: Adapter, other: Adapter) -> float:
    """How far the updates of ``other`` are from those of ``one``, on the same modules: the Frobenius norm of
    s' B' A' - s B A over that of s B A, of all modules together. Never forms d_out x d_in."""
    apart = whole = 0.0
    for path, item in one.factors.items():
        B, A = item.B.double() * item.scale, item.A.double()
        its = other.factors[path]
        B_both = torch.cat([its.B.double() * its.scale, -B], 1)
        apart += _square(B_both, torch.cat([its.A.double(), A]))
        whole += _square(B, A)
    return (apart / whole) ** 0.5 if whole else 0.0


def _square(B: Tensor, A: Tensor) -> float:
    """The squared Frobenius norm of B A: that of R_B R_A^T."""
    R_B, R_A = (torch.linalg.qr(factor, mode="r").R for factor in (B, A.t()))
    return float((R_B @ R_A.t()).square().sum())


def _check_numbers(adapter: Adapter) -> None:
    """AdapterError where a factor holds NaN or infinity: such a one has no order."""
    for path, item in adapter.factors.items():
        if not bool(item.A.isfinite().all() and item.B.isfinite().all()):
            raise AdapterError(
                f"The factors of {adapter.name} hold numbers that are infinite or not a number, in {path}.",
                "The training that made it diverged; use another one.",
            )


def _order(item: Factors) -> Factors:
    r = item.rank
    Q_B, R_B = torch.linalg.qr(item.B.double())
    Q_A, R_A = torch.linalg.qr(item.A.double().t())
    U, S, Vt = torch.linalg.svd(R_B @ R_A.t())
    k = S.shape[0]
    # What rounding leaves of directions that are not there is no direction.
    root = torch.where(S[0] * _NOTHING < S, S, 0.0).sqrt()
    B = item.B.new_zeros(item.B.shape[0], r, dtype=torch.float32)
    A = item.A.new_zeros(r, item.A.shape[1], dtype=torch.float32)
    B[:, :k] = (Q_B @ U[:, :k]) * root  # where r exceeds a dimension the remaining columns stay zero
    A[:k] = root[:, None] * (Vt[:k] @ Q_A.t())
    return replace(item, A=A, B=B, since=())

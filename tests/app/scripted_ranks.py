"""A library with adapters that slide, for the presenters and forms beside the rank slider."""

from __future__ import annotations

from msgspec.structs import replace

from app.presenters.ranks import Ranks
from engine.messages import (
    AdapterCard,
    Adapters,
    DataSets,
    Fit,
    Fits,
    JudgeAdapters,
    ListAdapters,
    ListData,
    ListMixes,
    MeasureRanks,
    Mixes,
    RankCurve,
    RankPoint,
    ReadProvenance,
    ReadSpectrum,
    Spectrum,
)
from tests.app.scripted_client import BASE, ScriptedClient, adapter, data_set

SORT = replace(adapter("sort"), sha256="a1", bytes=80_000)
NESTED = replace(adapter("sort-dylora"), sha256="b2", kind="dylora")
SETS = [replace(data_set(name), sha256=name) for name in ("plural.train", "sort.train", "sort.heldout")]
VALUES = [[4.0, 2.0, 1.0, 0.5, 0.25, 0.1, 0.05, 0.01], [3.0, 2.5, 2.2, 2.0, 1.5, 1.0, 0.5, 0.1]]


def spectrum(kind: str = "lora") -> Spectrum:
    return Spectrum(
        kind=kind,
        modules=["model.layers.0.self_attn.q_proj", "model.layers.1.mlp.down_proj"],
        values=VALUES,
        energy=[0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0],
        spread=[0.55, 0.75, 0.85, 0.92, 0.96, 0.985, 0.995, 1.0],
        kept=[-0.4 if kind == "dylora" else 0.2, *(0.3 + 0.1 * rank for rank in range(1, 7)), 1.0],
        bytes=[10_000 * rank for rank in range(1, 9)],
        spread_bytes=[min(80_000, 12_000 * rank) for rank in range(1, 9)],
    )


def curve(request: MeasureRanks, best: float = 0.9) -> RankCurve:
    """What an engine would say to ``request``: better with the rank, up to ``best``."""
    points = [
        RankPoint(
            rank=rank,
            value=best * min(1.0, rank / 6),
            interval=(best * min(1.0, rank / 6) - 0.05, min(1.0, best * min(1.0, rank / 6) + 0.05)),
            bytes=10_000 * rank,
            tokens_per_second=400.0 - 5 * rank if request.speed else None,
        )
        for rank in request.ranks
    ]
    return RankCurve(metric=request.metric, n=request.limit or 200, kind="lora", points=points)


def library(client: ScriptedClient, *cards: AdapterCard) -> None:
    """Answer what every page asks when it begins."""
    green = {card.name: Fit(verdict="green", reason="") for card in cards}
    client.answer_all(ListAdapters, Adapters(adapters=list(cards)))
    client.answer_all(JudgeAdapters, Fits(fits=green))
    client.answer_all(ListMixes, Mixes(mixes=[]))
    client.answer_all(ListData, DataSets(sets=SETS))


def sliding(client: ScriptedClient, card: AdapterCard = SORT) -> Ranks:
    """A page whose adapter is ``card`` and whose library also has the others."""
    ranks = Ranks(client)
    ranks.use_base(BASE)
    library(client, SORT, NESTED, adapter("plural"))
    ranks.choose(card.name)
    client.answer_all(ReadSpectrum, spectrum(card.kind))
    for call in client.asked(ReadProvenance):
        client.fail(call, "missing")
    return ranks

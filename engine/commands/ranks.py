"""Ranks: how good an adapter is at each, how its energy lies in them, and what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import typer

from engine.commands.session import plain, session, table
from engine.commands.voices import Cut, Order
from engine.commands.work import Base, Data, data_path
from engine.formats.errors import StudioError
from engine.formats.sizes import as_size
from engine.messages import (
    AdapterCard,
    BakeRank,
    ListAdapters,
    MeasureRanks,
    OrderRanks,
    RankCurve,
    RankOrder,
    RankPoint,
    RanksOrdered,
    ReadSpectrum,
    Spectrum,
)

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="The ranks of an adapter.")

BAR = 30
SHOWN = 12
"""Projections of a spectrum in the table; all are in its JSON."""


@app.command()
def curve(
    base: Base,
    data: Data,
    adapter: Annotated[str, typer.Option("--adapter", help="Of the library.")],
    ranks: Annotated[str, typer.Option("--ranks", help="For example 1,2,4. Default: 1, 2, 4 ... all.")] = "",
    order: Order = None,
    speed: Annotated[bool, typer.Option("--speed", help="Also the tokens a second of each.")] = False,
    metric: Annotated[Literal["exact", "loss"], typer.Option("--metric")] = "exact",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first rows.")] = None,
) -> None:
    """Quality by rank on held-out rows, all ranks in one batch."""
    request = MeasureRanks(
        base=base,
        data=data_path(data),
        adapter=adapter,
        ranks=_numbers(ranks),
        order=order or "",
        speed=speed,
        metric=metric,
        limit=limit,
    )
    with session.engine() as engine:
        seen: RankCurve = engine.call(request, session.show_progress)
    for note in seen.notes:
        session.note(note)
    rows = [_row(point, max(each.value for each in seen.points)) for point in seen.points]
    measured = () if seen.points[0].tokens_per_second is None else ("tokens/s",)
    text = table(("rank", seen.metric, "95 % interval", "energy", "size", *measured, ""), rows)
    points = [
        {
            "rank": point.rank,
            "value": point.value,
            "interval": list(point.interval),
            "energy": point.energy,
            "bytes": point.bytes,
            "tokens_per_second": point.tokens_per_second,
        }
        for point in seen.points
    ]
    values = {"metric": seen.metric, "n": seen.n, "kind": seen.kind, "points": points, "notes": seen.notes}
    apart = f". Ranks part on {'; '.join(seen.apart)}" if seen.apart else ""
    session.result(values | {"apart": seen.apart}, f"{text}\n{seen.n} rows{apart}")


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")] if text else []
    except ValueError as error:
        raise StudioError("usage", f"--ranks {text} is no list of ranks.", "For example: 1,2,4.") from error


def _row(point: RankPoint, most: float) -> tuple[str, ...]:
    low, high = point.interval
    kept = "" if point.energy is None else _percent(point.energy)
    bar = "#" * round(BAR * point.value / most) if most else ""
    value = f"{point.value:.4f}"
    speed = point.tokens_per_second
    measured = () if speed is None else (f"{speed:.1f}",)
    return str(point.rank), value, f"{low:.4f} to {high:.4f}", kept, as_size(point.bytes), *measured, bar


@app.command()
def order(
    name: str,
    out: Annotated[str, typer.Option("--out", help="What to call the adapter in order.")],
    data: Annotated[
        str | None, typer.Option("--data", help="Order by what it says on these rows, not by its weights.")
    ] = None,
    base: Annotated[str | None, typer.Option("--base", help="What reads them; default: its own.")] = None,
) -> None:
    """Write an adapter with its columns ordered by energy: every rank of it is then the best of that rank."""
    request = OrderRanks(adapter=name, out=out, base=base or "", data=data_path(data) if data else "")
    with session.engine() as engine:
        done: RanksOrdered = engine.call(request, session.show_progress)
    for note in done.notes:
        session.note(note)
    columns = {"energy on the data": done.energy, "of the order by weights": done.plain}
    columns = columns if done.plain else {"energy": done.energy}
    rows = [
        (str(rank), *map(_percent, kept)) for rank, kept in enumerate(zip(*columns.values(), strict=True), 1)
    ]
    head = ("rank", *columns)
    text = f"{table(head, rows)}\n{out} says what {name} says, to {done.error:.0e}."
    values = {"name": out, "energy": done.energy, "error": done.error, "notes": done.notes}
    session.result(values | {"plain": done.plain, "path": done.card.path}, text)


@app.command()
def bake(
    name: str,
    rank: Annotated[int, typer.Option("--rank", help="What it is to keep.")],
    out: Annotated[str, typer.Option("--out", help="What to call the new adapter.")],
    order: Cut = None,
) -> None:
    """Make an ordinary, smaller adapter of what another plays at one rank."""
    with session.engine() as engine:
        kinds = {card.name: card.kind for card in engine.call(ListAdapters()).adapters}
        chosen: RankOrder = order or ("" if kinds.get(name) in ("svd", "dylora") else "energy")
        request = BakeRank(adapter=name, rank=rank, out=out, order=chosen)
        card: AdapterCard = engine.call(request, session.show_progress)
    text = f"{out} is in the library: {name} at rank {rank}, {as_size(card.bytes)}."
    session.result(plain(card), text)


@app.command()
def spectrum(name: str) -> None:
    """How the energy of an adapter lies in its ranks and projections."""
    with session.engine() as engine:
        seen: Spectrum = engine.call(ReadSpectrum(adapter=name))
    for note in seen.notes:
        session.note(note)
    ranks = zip(seen.kept, seen.energy, seen.spread, map(as_size, seen.bytes), strict=True)
    rows = [(str(rank), *map(_percent, shares), size) for rank, (*shares, size) in enumerate(ranks, 1)]
    text = table(("rank", "as it is", "by energy", "spread", "size"), rows)
    whole = [sum(value**2 for value in values) for values in seen.values]
    loudest = sorted(range(len(whole)), key=lambda place: -whole[place])[:SHOWN]
    rows = [
        (seen.modules[place], _percent(whole[place] / sum(whole)), _values(seen.values[place]))
        for place in loudest
    ]
    text += f"\n\n{table(('projection', 'of all energy', 'singular values'), rows)}"
    if len(whole) > SHOWN:
        text += f"\n... and {len(whole) - SHOWN} more."
    session.result(plain(seen), text)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _values(values: Sequence[float]) -> str:
    return " ".join(f"{value:.3g}" for value in values[:8]) + (" ..." if len(values) > 8 else "")

"""Ranks: how good an adapter is at each of its ranks, and an adapter put in order."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from engine.commands.session import session, table
from engine.commands.work import Base, Data, data_path
from engine.formats.errors import StudioError
from engine.formats.sizes import as_size
from engine.messages import MeasureRanks, OrderRanks, RankCurve, RankPoint, RanksOrdered

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="The ranks of an adapter.")

BAR = 30


@app.command()
def curve(
    base: Base,
    data: Data,
    adapter: Annotated[str, typer.Option("--adapter", help="Of the library.")],
    ranks: Annotated[str, typer.Option("--ranks", help="For example 1,2,4. Default: 1, 2, 4 ... all.")] = "",
    ordered: Annotated[bool, typer.Option("--ordered", help="Measure it as `rank order` makes it.")] = False,
    metric: Annotated[Literal["exact", "loss"], typer.Option("--metric")] = "exact",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first rows.")] = None,
) -> None:
    """Quality by rank on held-out rows, all ranks in one batch."""
    request = MeasureRanks(
        base=base,
        data=data_path(data),
        adapter=adapter,
        ranks=_numbers(ranks),
        order="energy" if ordered else "",
        metric=metric,
        limit=limit,
    )
    with session.engine() as engine:
        seen: RankCurve = engine.call(request, session.show_progress)
    for note in seen.notes:
        session.note(note)
    rows = [_row(point, max(each.value for each in seen.points)) for point in seen.points]
    text = table(("rank", seen.metric, "95 % interval", "energy", "size", ""), rows)
    points = [
        {
            "rank": point.rank,
            "value": point.value,
            "interval": list(point.interval),
            "energy": point.energy,
            "bytes": point.bytes,
        }
        for point in seen.points
    ]
    values = {"metric": seen.metric, "n": seen.n, "kind": seen.kind, "points": points, "notes": seen.notes}
    session.result(values, f"{text}\n{seen.n} rows")


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")] if text else []
    except ValueError as error:
        raise StudioError("usage", f"--ranks {text} is no list of ranks.", "For example: 1,2,4.") from error


def _row(point: RankPoint, most: float) -> tuple[str, ...]:
    low, high = point.interval
    kept = "" if point.energy is None else f"{100 * point.energy:.1f} %"
    bar = "#" * round(BAR * point.value / most) if most else ""
    value = f"{point.value:.4f}"
    return str(point.rank), value, f"{low:.4f} to {high:.4f}", kept, as_size(point.bytes), bar


@app.command()
def order(
    name: str,
    out: Annotated[str, typer.Option("--out", help="What to call the adapter in order.")],
) -> None:
    """Write an adapter with its columns ordered by energy: every rank of it is then the best of that rank."""
    with session.engine() as engine:
        done: RanksOrdered = engine.call(OrderRanks(adapter=name, out=out), session.show_progress)
    for note in done.notes:
        session.note(note)
    rows = [(str(rank), f"{100 * kept:.1f} %") for rank, kept in enumerate(done.energy, 1)]
    text = f"{table(('rank', 'energy'), rows)}\n{out} says what {name} says, to {done.error:.0e}."
    values = {"name": out, "energy": done.energy, "error": done.error, "notes": done.notes}
    session.result(values | {"path": done.card.path}, text)

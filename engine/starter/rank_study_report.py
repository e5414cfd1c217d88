"""``python -m engine.starter.rank_study_report DIR [--picture FILE]``: a rank study as tables and picture."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from engine.runtime.intervals import Numbers
from engine.starter.rank_study import ABLATED, HIGHEST, SETS
from engine.starter.rank_study_picture import Line, Panel, Point, picture
from engine.starter.rank_study_results import (
    AREA,
    AREA_LOG,
    LORA,
    RANKS,
    Curves,
    Estimate,
    Results,
    at_rank,
)
from engine.starter.svg import GREY
from engine.starter.topics import ceiling

__all__ = ["ARMS", "drawn", "tables"]

ARMS = {
    "dylora": "DyLoRA",
    "longer": "DyLoRA, longer",
    LORA: "a LoRA per rank",
    "cut-energy": "SVD order",
    "cut-spread": "SVD, spread",
    "cut-weighed": "SVD, weighed",
    "cut-": "cut as it is",
}
"""The last four are one LoRA of the highest rank, cut."""

RUNS = ("dylora", "longer")
COLOURS = {"dylora": "#2f7dd1", "longer": "#8ab8ea", LORA: "#d1762f", "cut-energy": "#3f9d5a", "cut-": GREY}
"""Of the arms that are drawn and held against one another; the other orders are close to that by energy."""

KINDS = {"dylora": "full, uniform", "frozen": "frozen, uniform", "geometric": "full, geometric"}
ROWS: dict[str, Numbers] = {str(rank): at_rank(rank) for rank in RANKS}
ROWS |= {"area over r": AREA, "area over log2 r": AREA_LOG}


def tables(results: Results) -> str:
    """Every table of the study as Markdown."""
    sets = results.sets
    made = [_curves(results, ARMS, sets, f"all {len(sets)}, mean")]
    made += [_curves(results, ARMS, [name], SETS[name].title) for name in sets]
    made += [_winners(results, arm, sets) for arm in _runs(results, sets)]
    made += [_costs(results, sets), _curves(results, KINDS, [ABLATED], "rank")]
    return "\n\n".join("\n".join(lines) for lines in made)


def _runs(results: Results, sets: Sequence[str]) -> list[str]:
    """The DyLoRAs that are there on all of ``sets``."""
    return [arm for arm in RUNS if results.curves(arm, sets)]


def _present(results: Results, arms: dict[str, str], sets: Sequence[str]) -> dict[str, Curves]:
    """By label, the arms that are whole on all of ``sets``."""
    found = {label: results.curves(arm, sets) for arm, label in arms.items()}
    return {label: curves for label, curves in found.items() if curves}


def _curves(results: Results, arms: dict[str, str], sets: Sequence[str], title: str) -> Iterator[str]:
    found = _present(results, arms, sets)
    yield from _head(title, found)
    for label, weights in ROWS.items():
        yield _row(label, (_said(curves.value(weights)) for curves in found.values()))


def _winners(results: Results, arm: str, sets: Sequence[str]) -> Iterator[str]:
    """By how much ``arm`` is ahead of the others at each rank, or that nothing is proved."""
    others = [other for other in COLOURS if other not in RUNS and results.curves(other, sets)]
    yield from _head(f"{ARMS[arm]} against", ["on", *map(str, RANKS), "area"])
    for other in others:
        for title, group in _groups(sets):
            one, its = results.curves(arm, group), results.curves(other, group)
            if one and its:
                gaps = [one.beyond(its, weights) for weights in (*map(at_rank, RANKS), AREA)]
                yield _row(ARMS[other], [title, *map(_verdict, gaps)])


def _verdict(gap: Estimate) -> str:
    value, low, high = gap
    return f"{value:+.2f}" if low > 0 or high < 0 else "level"


def _groups(sets: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Each set alone, then all of them."""
    return [*((SETS[name].title, [name]) for name in sets), ("all", list(sets))]


def _costs(results: Results, sets: Sequence[str]) -> Iterator[str]:
    """CPU seconds of training, and of what all LoRAs together cost."""
    loras, alone = f"{HIGHEST} LoRAs", f"rank {HIGHEST} alone"
    runs = _runs(results, sets)
    yield from _head("CPU s", [loras, alone, *(ARMS[arm] for arm in runs)])
    for title, group in _groups(sets):
        spent = {arm: results.seconds(group, arm) for arm in (LORA, f"lora-{HIGHEST}", *runs)}
        shares = [f"{spent[arm]:.1f}, 1 : {spent[LORA] / spent[arm]:.1f}" for arm in runs]
        yield _row(title, [f"{spent[LORA]:.1f}", f"{spent[f'lora-{HIGHEST}']:.1f}", *shares])


def _head(title: str, labels: Iterable[str]) -> Iterator[str]:
    yield _row(title, labels)
    yield _row("---", ["---" for _ in labels])


def _row(label: str, cells: Iterable[str]) -> str:
    return f"| {' | '.join((label, *cells))} |"


def _said(value: Estimate) -> str:
    return f"{value[0]:.3f} ({value[1]:.3f} to {value[2]:.3f})"


def drawn(results: Results) -> str:
    """The picture: quality by rank, a panel for each set."""
    panels = []
    for name in results.sets:
        lines = [
            Line(ARMS[arm], colour, [Point(rank, *curves.value(at_rank(rank))) for rank in RANKS])
            for arm, colour in COLOURS.items()
            if (curves := results.curves(arm, [name]))
        ]
        best = ceiling(SETS[name].rows()[1]) if name == "topics" else None
        panels.append(Panel(SETS[name].title, lines, best))
    return picture(panels)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m engine.starter.rank_study_report", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--picture", type=Path, help="an SVG file")
    arguments = parser.parse_args()
    results = Results(arguments.folder)
    print(tables(results))
    if arguments.picture:
        arguments.picture.write_text(drawn(results), encoding="utf-8")


if __name__ == "__main__":
    main()

"""``python -m engine.starter.study_report DIR [--picture FILE]``: the study's files as tables and a picture.

Values are means over the tasks, each weighing the same. Intervals are those of a comparison
(``engine.runtime.intervals``), over the held-out words and over the seeds; differences are paired.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from engine.runtime.intervals import DIFFERENCE, SHARE, Numbers, mean_interval
from engine.starter.study import ROUTERS, SIZES, WHOLE
from engine.starter.study_picture import Point, picture
from engine.starter.tasks import BLEND, TASKS

__all__ = ["Column", "Results", "tables"]

SIX = tuple(task.name for task in TASKS)
LAST = (BLEND.name,)
SEVEN = (*SIX, *LAST)
ORACLE = "oracle: best expert of each set"

ARMS = {
    "base": "base alone",
    "uniform": "plain sum of the experts",
    "arrow": "Arrow, top 3, nothing trained",
    "learned": "learned static weights (CAT)",
    "xlora": "X-LoRA of PEFT",
    "lora": "one LoRA of rank 48",
}
KINDS = {
    "context": "context, no entropy term",
    "local": "local, no entropy term",
    "as printed": "context, lambda +0.05 (as printed: flattens)",
    "flipped": "context, lambda -0.05 (sharpens)",
    "band": "context, entropy band",
}
PLAYS = {"soft": "soft", "topk": "top 3", "hard": "hard"}


@dataclass(frozen=True)
class Column:
    """One arm with all its seeds: ``hits`` of each set are [seeds, words] of 0 and 1."""

    hits: dict[str, Numbers]
    parameters: int = 0
    seconds: float = 0.0

    def mean(self, sets: Sequence[str]) -> float:
        return float(numpy.mean([self.hits[name].mean() for name in sets]))

    def seeds(self, sets: Sequence[str]) -> Numbers:
        """[seeds]: the mean of each seed."""
        found: Numbers = numpy.mean([self.hits[name].mean(1) for name in sets], axis=0)
        return found

    def interval(self, sets: Sequence[str]) -> tuple[float, float]:
        return mean_interval([_pair(self.hits[name]) for name in sets], SHARE)

    def beyond(self, other: Column, sets: Sequence[str]) -> tuple[float, float, float]:
        """How much better than ``other``, and the interval of that."""
        gaps = [_pair(self.hits[name] - other.hits[name]) for name in sets]
        return self.mean(sets) - other.mean(sets), *mean_interval(gaps, DIFFERENCE)


def _pair(values: Numbers) -> tuple[Numbers, Numbers]:
    return values, numpy.ones(values.shape[1])


class Results:
    """The files of a study."""

    def __init__(self, folder: Path) -> None:
        self._found: list[dict[str, Any]] = [
            json.loads(file.read_bytes()) for file in sorted(folder.glob("*.json"))
        ]

    def column(self, arm: str, play: str = "alone", rows: int | None = None) -> Column | None:
        """An arm at so many rows (None: the most), all its seeds; None where it was not run."""
        found = [one for one in self._found if one["arm"] == arm and play in one["plays"]]
        rows = max((one["rows"] for one in found), default=0) if rows is None else rows
        found = [one for one in found if one["rows"] == rows]
        if not found:
            return None
        hits = {name: numpy.array([one["plays"][play][name] for one in found], dtype=float) for name in SEVEN}
        return Column(hits, found[0]["parameters"], float(numpy.mean([one["training"] for one in found])))

    def oracle(self) -> Column:
        """The best expert of each set, chosen on the very words that it is scored on."""
        experts = [column for name in SIX if (column := self.column(f"expert:{name}"))]
        return Column(
            {name: max((e.hits[name] for e in experts), key=lambda hits: hits.mean()) for name in SEVEN}
        )


def tables(results: Results) -> str:
    """Every table of the study as Markdown."""
    return "\n\n".join(
        "\n".join(part) for part in (_arms(results), _kinds(results), _sizes(results), _gaps(results))
    )


def _arms(results: Results) -> Iterator[str]:
    yield "| | six tasks | blend | all seven | seeds | numbers trained | CPU s |"
    yield "|---|---|---|---|---|---|---|"
    columns: dict[str, Column | None] = {ORACLE: results.oracle()}
    columns |= {label: results.column(arm) for arm, label in ARMS.items()}
    columns |= {f"**the mix, {label}**": results.column("context", play) for play, label in PLAYS.items()}
    for label, column in columns.items():
        if column:
            values = " | ".join(_said(column, sets) for sets in (SIX, LAST, SEVEN))
            yield f"| {label} | {values} | {_cost(column)} |"


def _kinds(results: Results) -> Iterator[str]:
    yield "| router | " + " | ".join(PLAYS.values()) + " | blend, soft |"
    yield "|---|---|---|---|---|"
    for kind in ROUTERS:
        columns = [results.column(kind, play, WHOLE) for play in PLAYS]
        cells = [_said(column, SEVEN) for column in columns if column]
        if columns[0]:
            yield f"| {KINDS[kind]} | {' | '.join(cells)} | {_said(columns[0], LAST)} |"


def _sizes(results: Results) -> Iterator[str]:
    yield "| rows | the mix, soft | hard | one LoRA of rank 48 | the mix beyond the LoRA |"
    yield "|---|---|---|---|---|"
    for rows in SIZES:
        soft, hard = (results.column("context", play, rows) for play in ("soft", "hard"))
        lora = results.column("lora", rows=rows)
        if soft and hard and lora:
            cells = (_said(column, SEVEN) for column in (soft, hard, lora))
            yield f"| {rows} | {' | '.join(cells)} | {_gap(soft.beyond(lora, SEVEN))} |"


def _gaps(results: Results) -> Iterator[str]:
    yield "| the mix, soft, beyond | six tasks | blend | all seven |"
    yield "|---|---|---|---|"
    mix = results.column("context", "soft", WHOLE)
    others = {ORACLE: results.oracle()}
    others |= {label: column for arm, label in ARMS.items() if (column := results.column(arm))}
    for label, other in others.items():
        if mix:
            gaps = (_gap(mix.beyond(other, sets)) for sets in (SIX, LAST, SEVEN))
            yield f"| {label} | {' | '.join(gaps)} |"


def _said(column: Column, sets: Sequence[str]) -> str:
    low, high = column.interval(sets)
    return f"{column.mean(sets):.3f} ({low:.3f} to {high:.3f})"


def _gap(gap: tuple[float, float, float]) -> str:
    return f"{gap[0]:+.3f} ({gap[1]:+.3f} to {gap[2]:+.3f})"


def _cost(column: Column) -> str:
    seeds = column.seeds(SEVEN)
    spread = f"{seeds.min():.3f} to {seeds.max():.3f}" if len(seeds) > 1 else ""
    return f"{spread} | {column.parameters:,} | {column.seconds:.0f}" if column.parameters else " | | "


def _picture(results: Results) -> str:
    """Score against rows; what does not depend on them, or was tried with all of them only, as a level."""
    lines = {
        "the mix, soft": ("context", "soft"),
        "the mix, hard": ("context", "hard"),
        "one LoRA of rank 48": ("lora", "alone"),
    }
    drawn = {
        label: [
            Point(rows, column.mean(SEVEN), *column.interval(SEVEN))
            for rows in SIZES
            if (column := results.column(arm, play, rows))
        ]
        for label, (arm, play) in lines.items()
    }
    levels = {ORACLE: results.oracle().mean(SEVEN)}
    for arm, label in {"xlora": "X-LoRA, 2,000 rows", "learned": "static weights, 2,000 rows"}.items():
        if column := results.column(arm):
            levels[label] = column.mean(SEVEN)
    return picture(drawn, levels)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m engine.starter.study_report", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--picture", type=Path, help="an SVG file")
    arguments = parser.parse_args()
    results = Results(arguments.folder)
    print(tables(results))
    if arguments.picture:
        arguments.picture.write_text(_picture(results), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Scores as a table for people and as a picture: word errors by noise, ear against both, and the controls.

``python -m engine.starter.speech.report scores.json picture.svg`` prints the table.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.starter.speech.score import CONTROLS, SNRS
from engine.starter.svg import GREY, drawing, stroke, words

__all__ = ["picture", "table"]

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 46, 150, 36, 46
COLOURS = {
    "audio": "#3b82c4",
    "video": "#7a9a01",
    "both": "#c2410c",
    **dict.fromkeys(CONTROLS, "#a78bba"),
}
LABELS = {"audio": "ears", "video": "lips alone", "both": "both"}
DASHES = dict(zip(CONTROLS, ("2 3", "6 3", "1 4", "8 2 2 2"), strict=True))

Scores = Mapping[str, Any]


def table(scores: Scores) -> str:
    """Markdown: a row for each way to read the clips, a column for each noise, and what lips spare."""
    names = ["audio", "both", *CONTROLS]
    head = ["word errors, %", *(_said(snr) for snr in SNRS)]
    rows = [head, ["---"] * len(head)]
    rows += [[_label(name), *(_rate(scores["rates"][name][f"{snr:g}"]) for snr in SNRS)] for name in names]
    rows.append([LABELS["video"], _rate(scores["rates"]["video"]["inf"]), *[""] * (len(SNRS) - 1)])
    rows.append(["**errors spared by lips, %**", *[""] * len(SNRS)])
    rows += [[_label(name), *(_rate(scores["gain"][name][f"{snr:g}"]) for snr in SNRS)] for name in names[1:]]
    return "\n".join("|" + "|".join(row) + "|" for row in rows)


def picture(scores: Scores) -> str:
    """An SVG: word errors by noise, the floor of whoever only knows the grammar."""
    return drawing(
        WIDTH,
        HEIGHT,
        "Word errors by noise on synthetic voices and faces: ears, lips, both, and lips that cannot help",
        [*_axes(scores), *_lines(scores)],
    )


def _label(name: str) -> str:
    return LABELS.get(name, f"both, lips {name}")


def _said(snr: float) -> str:
    return "clean" if snr == math.inf else f"{snr:g} dB".replace("-", "−")


def _rate(rate: Mapping[str, float]) -> str:
    value, low, high = (f"{100 * rate[key]:.1f}".replace("-", "−") for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _x(number: int) -> float:
    return LEFT + 12 + number / (len(SNRS) - 1) * (WIDTH - LEFT - RIGHT - 24)


def _y(rate: float) -> float:
    return TOP + (1 - rate) * (HEIGHT - TOP - BOTTOM)


def _axes(scores: Scores) -> Iterator[str]:
    yield words(LEFT, 18, "Word error rate, 500 held-out clips, synthetic voices and faces")
    for tenth in range(0, 11, 2):
        yield stroke(f"M{LEFT} {_y(tenth / 10):.1f}H{WIDTH - RIGHT}", GREY, 0.4)
        yield words(LEFT - 8, _y(tenth / 10) + 4, f"{10 * tenth} %", anchor="end")
    for number, snr in enumerate(SNRS):
        yield words(_x(number), HEIGHT - BOTTOM + 18, _said(snr), anchor="middle")
    yield words((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "babble", anchor="middle")
    floor = float(scores["grammar alone"])
    yield stroke(f"M{LEFT} {_y(floor):.1f}H{WIDTH - RIGHT}", GREY, 1.2, "4 4")
    yield words(WIDTH - RIGHT + 8, _y(floor) + 4, "grammar alone")


def _lines(scores: Scores) -> Iterator[str]:
    lips = scores["rates"]["video"]["inf"]["value"]
    ends: list[tuple[float, str, str]] = [(_y(lips), LABELS["video"], COLOURS["video"])]
    yield stroke(f"M{_x(0):.1f} {_y(lips):.1f}H{_x(len(SNRS) - 1):.1f}", COLOURS["video"], 1.6)
    for name in (*CONTROLS, "audio", "both"):
        row = [scores["rates"][name][f"{snr:g}"] for snr in SNRS]
        points = [f"{_x(number):.1f} {_y(rate['value']):.1f}" for number, rate in enumerate(row)]
        yield stroke(
            "M" + "L".join(points), COLOURS[name], 1.4 if name in CONTROLS else 2.6, DASHES.get(name, "")
        )
        if name not in CONTROLS:
            for number, rate in enumerate(row):
                x = _x(number)
                yield stroke(f"M{x:.1f} {_y(rate['low']):.1f}V{_y(rate['high']):.1f}", COLOURS[name], 1.2)
        ends.append((_y(row[-1]["value"]), name if name in CONTROLS else LABELS[name], COLOURS[name]))
    below = 0.0
    for y, label, colour in sorted(ends):
        below = max(y + 4, below + 14)
        yield words(WIDTH - RIGHT + 8, below, label, colour)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m engine.starter.speech.report", description=__doc__)
    parser.add_argument("scores", type=Path)
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    scores = json.loads(arguments.scores.read_text(encoding="utf-8"))
    arguments.picture.write_text(picture(scores), encoding="utf-8")
    print(table(scores))


if __name__ == "__main__":
    main()

"""The study: its arithmetic on made-up files; with ``-m study`` the whole of it and what it must show."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy
import pytest

from engine.starter.study import CONDITIONS, SEEDS, SIZES, WHOLE, Condition, run
from engine.starter.study_picture import Point, picture
from engine.starter.study_report import LAST, SEVEN, SIX, Results, tables

OUT = Path(__file__).parents[2] / "out" / "study"
WORDS = 40


def write(folder: Path, condition: Condition, shares: dict[str, float], **plays: float) -> None:
    """A file in which each set's share of hits is ``shares`` (else 0), in another place for every seed."""
    hits = {}
    for name in SEVEN:
        chance = numpy.random.default_rng([condition.seed, SEVEN.index(name)])
        hits[name] = (chance.random(WORDS) < shares.get(name, 0.0)).astype(int).tolist()
    found = {"arm": condition.arm, "rows": condition.rows, "seed": condition.seed}
    found |= {
        "plays": dict.fromkeys(plays or {"alone": 0}, hits),
        "parameters": 7,
        "training": 2.0,
        "scoring": 1.0,
    }
    (folder / condition.file).write_text(json.dumps(found))


def test_the_mean_weighs_tasks_alike_and_the_interval_knows_words_and_seeds(tmp_path: Path) -> None:
    for seed in SEEDS:
        shares = dict.fromkeys(SEVEN, 0.5) | {"sort": 0.9 - 0.4 * seed}
        write(tmp_path, Condition("lora", WHOLE, seed), shares)
    column = Results(tmp_path).column("lora")
    assert column is not None
    by_hand = [column.hits[name].sum() / column.hits[name].size for name in SEVEN]
    assert column.mean(SEVEN) == pytest.approx(sum(by_hand) / 7)
    assert list(column.seeds(("sort",))) == sorted(column.seeds(("sort",)), reverse=True)
    for sets in (SEVEN, LAST, ("sort",)):
        seeds = column.seeds(sets)
        mean = {name: column.hits[name].mean(0) for name in sets}
        words = sum(each.var() / WORDS for each in mean.values()) / len(sets) ** 2
        spread = float(numpy.sqrt(seeds.var() / len(seeds) + words))
        low, high = column.interval(sets)
        assert (high - low) / 2 == pytest.approx(1.96 * spread, rel=0.25)


def test_a_difference_is_paired_and_the_oracle_is_the_best_expert_of_each_task(tmp_path: Path) -> None:
    for task in SIX:
        write(tmp_path, Condition(f"expert:{task}", 0, 0), {task: 1.0, "blend": 0.2})
    for seed in SEEDS:
        write(tmp_path, Condition("context", WHOLE, seed), dict.fromkeys(SEVEN, 0.7), soft=0, topk=0, hard=0)
    results = Results(tmp_path)
    oracle, mix = results.oracle(), results.column("context", "soft")
    assert mix is not None
    assert oracle.mean(SIX) == 1.0
    gap, low, high = mix.beyond(mix, SEVEN)
    assert gap == 0.0
    assert -0.01 < low < 0.0 < high < 0.01, "arms that agree on every word may differ on the next"
    gap, low, high = mix.beyond(oracle, SIX)
    assert gap == pytest.approx(mix.mean(SIX) - 1.0)
    assert low < gap < high < 0
    text = tables(results)
    assert f"| **the mix, soft** | {mix.mean(SIX):.3f} (" in text
    assert "X-LoRA" not in text


def test_what_is_there_is_not_measured_again(tmp_path: Path) -> None:
    asked = []

    class Fake:
        def measure(self, condition: Condition) -> dict:
            asked.append(condition)
            hits = {name: [1, 0] for name in SEVEN}
            return {"plays": {"alone": hits}, "parameters": 0, "training": 0.0, "scoring": 0.0}

    some = CONDITIONS[:4]
    write(tmp_path, some[1], {})
    kept = (tmp_path / some[1].file).read_bytes()
    run(tmp_path, some, Fake())  # type: ignore[arg-type]
    assert asked == [some[0], *some[2:]]
    assert (tmp_path / some[1].file).read_bytes() == kept
    run(tmp_path, some, Fake())  # type: ignore[arg-type]
    assert len(asked) == 3


def test_the_picture_is_an_svg_with_every_point(tmp_path: Path) -> None:
    lines = {"a": [Point(100, 0.2, 0.1, 0.3), Point(2000, 0.9, 0.8, 1.0)], "b": [Point(300, 0.5, 0.4, 0.6)]}
    root = ElementTree.fromstring(picture(lines, {"level": 0.25}))
    heights = [float(circle.get("cy", "nan")) for circle in root.iter("{http://www.w3.org/2000/svg}circle")]
    assert len(heights) == 3
    assert heights[1] < heights[2] < heights[0]
    assert any("level" in (text.text or "") for text in root.iter("{http://www.w3.org/2000/svg}text"))


@pytest.mark.study
@pytest.mark.timeout(0)
def test_the_study() -> None:
    """Half an hour of one core from nothing; goes on where it was stopped. Prints the tables."""
    run(OUT)
    results = Results(OUT)
    print(tables(results))
    mix, oracle = results.column("context", "soft", WHOLE), results.oracle()
    assert mix is not None
    assert len(mix.seeds(SEVEN)) == len(SEEDS)
    assert mix.mean(SIX) >= 0.98 * oracle.mean(SIX)
    assert oracle.mean(LAST) < 0.1 < 0.8 < mix.mean(LAST)
    for arm in ("base", "uniform", "arrow", "learned", "xlora"):
        other = results.column(arm)
        assert other is not None
        assert mix.beyond(other, SEVEN)[1] > 0
    means = [column.mean(SEVEN) for rows in SIZES if (column := results.column("context", "soft", rows))]
    assert means == sorted(means)

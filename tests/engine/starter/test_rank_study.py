"""The rank study: each step on a few rows, its arithmetic on made-up files; with ``-m study`` all of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy
import pytest
import torch

from engine.lora import read_adapter
from engine.messages import MeasureRanks
from engine.runtime.base import load_base
from engine.runtime.ranks import measure_ranks
from engine.runtime.voices import Voices
from engine.starter.rank_study import CONDITIONS, ORDERS, PACK, SEEDS, SETS, TRAINED, Condition, Study, run
from engine.starter.rank_study_picture import Line, Panel, Point, picture
from engine.starter.rank_study_report import drawn, tables
from engine.starter.rank_study_results import AREA, AREA_LOG, LORA, RANKS, Results, at_rank, parts

OUT = Path(__file__).parents[2] / "out" / "rank-study"
CUT = [f"cut-{order}" for order in ORDERS]
ROWS = 40
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Study, Path]]:
    """A few conditions on six words, trained just long enough for ranks to differ."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("study")
    plural = SETS["plural"]
    small = replace(plural, rows=lambda: (plural.rows()[0][:64], plural.rows()[1][:6]), steps=6)
    study = Study(out, load_base(PACK / "base", "starter-llama", "cpu"), {"plural": small})
    arms = (
        "dylora",
        "longer",
        "frozen",
        "geometric",
        "lora-8",
        "lora-2",
        "cut-",
        "cut-energy",
        "cut-spread",
        "cut-weighed",
    )
    run(out, [Condition("plural", arm, 0) for arm in arms], study)
    yield study, out


def found(out: Path, arm: str) -> dict:
    return json.loads((out / f"plural-{arm}-0.json").read_bytes())


def test_every_arm_is_scored_at_the_ranks_that_it_has(measured: tuple[Study, Path]) -> None:
    _, out = measured
    for file in out.glob("*.json"):
        one = json.loads(file.read_bytes())
        wanted = {"lora-8": ["8"], "lora-2": ["2"]}.get(one["arm"], [str(rank) for rank in RANKS])
        assert list(one["hits"]) == wanted
        assert {len(hits) for hits in one["hits"].values()} == {6}
        assert ("training" in one) == (not one["arm"].startswith("cut-"))
    assert read_adapter(out / "adapters" / "plural-dylora-0").kind == "dylora"
    assert read_adapter(out / "adapters" / "plural-lora-2-0").rank == 2
    assert found(out, "longer")["training"] > found(out, "dylora")["training"]


def test_whole_a_cut_lora_is_the_lora_and_frozen_is_not_full(measured: tuple[Study, Path]) -> None:
    _, out = measured
    whole = found(out, "lora-8")["hits"]["8"]
    assert all(
        found(out, arm)["hits"]["8"] == whole for arm in ("cut-", "cut-energy", "cut-spread", "cut-weighed")
    )
    losses = [found(out, arm)["loss"] for arm in TRAINED]
    assert len(set(losses)) == len(losses)


def test_its_hits_are_those_of_the_curve(measured: tuple[Study, Path], tmp_path: Path) -> None:
    study, out = measured
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in SETS["plural"].rows()[1][:6]))
    voices = Voices(study.base)
    request = MeasureRanks(base="starter-llama", data=str(data), adapter="it", ranks=list(RANKS))
    steps = measure_ranks(voices, request, str(out / "adapters" / "plural-dylora-0"), str(data))
    try:
        while True:
            next(steps)
    except StopIteration as end:
        points = end.value.points
    voices.close()
    hits = found(out, "dylora")["hits"]
    assert [point.value for point in points] == [sum(hits[str(rank)]) / 6 for rank in RANKS]


def test_what_is_there_is_kept_and_what_was_left_half_done_is_made_again(
    measured: tuple[Study, Path],
) -> None:
    study, out = measured
    lost, kept = out / "plural-lora-2-0.json", out / "plural-lora-8-0.json"
    before, times = found(out, "lora-2"), kept.stat().st_mtime_ns
    lost.unlink()  # its adapter is still there
    run(out, [Condition("plural", arm, 0) for arm in ("lora-8", "lora-2")], study)
    assert kept.stat().st_mtime_ns == times
    after = found(out, "lora-2")
    assert (after["hits"], after["loss"]) == (before["hits"], before["loss"])


def test_what_is_cut_is_trained_before() -> None:
    places = {condition: place for place, condition in enumerate(CONDITIONS)}
    assert len(places) == len(CONDITIONS)
    for condition, place in places.items():
        if condition.arm.startswith("cut-"):
            assert places[replace(condition, arm="lora-8")] < place


def write(folder: Path, shares: dict[str, list[float]], data: str = "six") -> None:
    """Files in which an arm's share of hits at each rank is ``shares``, other rows for every seed."""
    for arm, values in shares.items():
        for seed in SEEDS:
            for one in parts(arm):
                chance = numpy.random.default_rng([seed, len(one), *one.encode()])
                ranks = [int(one.removeprefix("lora-"))] if arm == LORA else RANKS
                hits = {str(r): (chance.random(ROWS) < values[r - 1]).astype(int).tolist() for r in ranks}
                file = {"data": data, "arm": one, "seed": seed, "hits": hits, "training": 2.0 + seed}
                (folder / f"{data}-{one}-{seed}.json").write_text(json.dumps(file))


def test_areas_weigh_ranks_by_the_trapezoids_beside_them() -> None:
    assert AREA.sum() == pytest.approx(1.0)
    assert AREA_LOG.sum() == pytest.approx(1.0)
    curve = numpy.array([0.1, 0.5, 0.4, 0.8, 0.9, 0.9, 1.0, 0.6])
    assert AREA @ curve == pytest.approx(numpy.trapezoid(curve, RANKS) / 7)
    assert AREA_LOG @ curve == pytest.approx(numpy.trapezoid(curve, numpy.log2(RANKS)) / 3)


def test_values_costs_and_differences_are_those_of_the_files(tmp_path: Path) -> None:
    write(tmp_path, {"dylora": [0.7] * 7 + [1.0], LORA: [0.9] * 8, "cut-": [0.1] * 4 + [1.0] * 4})
    write(tmp_path, {"dylora": [0.5] * 8}, "topics")
    results = Results(tmp_path)
    assert results.sets == ["six"], "topics has no LoRA for each rank yet"
    dylora, cut = results.curves("dylora", ["six"]), results.curves("cut-", ["six"])
    assert dylora is not None and cut is not None
    assert results.curves("cut-", ["six", "topics"]) is None
    assert dylora.hits["six"].shape == (len(SEEDS), 8, ROWS)
    value, low, high = dylora.value(at_rank(3))
    assert value == pytest.approx(dylora.hits["six"][:, 2].mean())
    assert low < value < high
    gap, low, high = dylora.beyond(cut, at_rank(1))
    assert gap == pytest.approx(dylora.hits["six"][:, 0].mean() - cut.hits["six"][:, 0].mean())
    assert 0.3 < low < gap < high
    assert results.seconds(["six"], "dylora") == pytest.approx(3.0)
    assert results.seconds(["six"], LORA) == pytest.approx(24.0)
    text = tables(results)
    assert "1 : 8.0" in text
    [against] = [line for line in text.splitlines() if line.startswith("| cut as it is | all six")]
    cells = against.split(" | ")[2:]
    assert [cell[:3] for cell in (cells[0], cells[6])] == ["+0.", "-0."]
    assert cells[7] == "level", "nobody is ahead where both are always right"
    assert "longer" not in text and "nan" not in text, "that run is not there yet"
    assert len(list(ElementTree.fromstring(drawn(results)).iter(f"{SVG}circle"))) == 3 * 8


def test_the_picture_has_every_point_of_every_panel() -> None:
    rising = [Point(rank, rank / 10, rank / 10 - 0.05, rank / 10 + 0.05) for rank in RANKS]
    lines = [Line("a", "#111111", rising), Line("b", "#222222", rising[::-1])]
    panels = [Panel("one", lines, 0.9), Panel("two", lines[:1])]
    root = ElementTree.fromstring(picture(panels))
    heights = [float(circle.get("cy", "nan")) for circle in root.iter(f"{SVG}circle")]
    assert len(heights) == 3 * 8
    last = heights[-8:]
    assert last == sorted(last, reverse=True), "what is better stands higher"
    assert [text.text for text in root.iter(f"{SVG}text")].count("as good as can be") == 1


@pytest.mark.study
@pytest.mark.timeout(0)
def test_the_study() -> None:
    """Forty minutes of one core from nothing; goes on where it was stopped. Prints the tables."""
    run(OUT)
    results = Results(OUT)
    print(tables(results))
    assert results.sets == list(SETS)
    loras = results.seconds(results.sets, LORA)
    for arm in ("dylora", "longer"):
        assert results.seconds(results.sets, arm) <= loras / 4
        one, cut = results.curves(arm, results.sets), results.curves("cut-", results.sets)
        assert one is not None and cut is not None
        for rank in (1, 2):
            assert one.beyond(cut, at_rank(rank))[1] > 0.3
        assert one.beyond(cut, AREA)[1] > 0

"""Quality by rank on the page: what is asked, kept, compared and said; and what a rank cuts."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication

from app.presenters.measured import Measured, aurac, from_json, grid, to_json
from app.presenters.rank_curve import RankCurves
from app.presenters.spectrum_cut import SpectrumCut
from engine.messages import CheckData, MeasureRanks, RankCurve, RankPoint, Said, Scoring
from tests.app.scripted_client import ScriptedClient, data_set
from tests.app.scripted_ranks import NESTED, SORT, curve, sliding, spectrum


@pytest.fixture
def client(qapp: QApplication) -> ScriptedClient:
    return ScriptedClient()


def points(*values: tuple[int, float]) -> list[RankPoint]:
    return [
        RankPoint(rank=rank, value=value, interval=(value - 0.1, value + 0.1), bytes=1)
        for rank, value in values
    ]


def measured(*values: tuple[int, float]) -> Measured:
    found = RankCurve(metric="exact", n=100, kind="lora", points=points(*values))
    return Measured(adapter="sort", sha256="a1", base="b", order="", data="d", data_sha256="d1", curve=found)


def test_aurac_is_the_mean_over_doublings() -> None:
    assert aurac(points((1, 0.0), (2, 1.0), (4, 1.0))) == pytest.approx(0.75)
    assert aurac(points((1, 0.4), (16, 0.8))) == pytest.approx(0.6)
    assert aurac(points((5, 0.3))) == pytest.approx(0.3)


def test_enough_is_where_intervals_begin_to_overlap_for_good() -> None:
    assert measured((1, 0.1), (2, 0.75), (4, 0.5), (8, 0.9)).enough == 8
    assert measured((1, 0.1), (2, 0.5), (4, 0.75), (8, 0.9)).enough == 4
    assert measured((1, 0.85), (2, 0.9)).enough == 1


def test_the_sentence_of_a_curve_names_the_rows_and_what_they_do_not_tell() -> None:
    assert measured((3, 0.5)).sentence == "100 rows of d."
    every = "100 rows of d. At every rank the 95 % interval overlaps that of rank 2."
    assert measured((1, 0.85), (2, 0.9)).sentence == every
    none = "100 rows of d. No lower rank's 95 % interval overlaps that of rank 2."
    assert measured((1, 0.1), (2, 0.9)).sentence == none


def test_the_grid_has_every_rank_of_a_few_and_thins_out_over_many() -> None:
    assert grid(1, 8) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert grid(3, 5) == [3, 4, 5]
    many = grid(2, 64)
    assert many[0] == 2 and many[-1] == 64 and len(many) <= 14
    assert many == sorted(set(many))


def test_curves_survive_the_settings_and_damage_there_is_nothing() -> None:
    kept = (measured((1, 0.5), (2, 0.7)),)
    assert from_json(to_json(kept)) == kept
    assert from_json("[{]") == from_json('[{"adapter": 3}]') == from_json("") == ()


def test_the_live_order_is_measured_at_every_rank_with_its_speed(client: ScriptedClient) -> None:
    curves = RankCurves(client, sliding(client))
    assert curves.plan.data == "data/sort.heldout.jsonl"  # the set that the adapter's name begins
    assert curves.measure()
    request = client.last(MeasureRanks).body
    assert (request.adapter, request.order, request.speed) == ("sort", "energy", True)
    assert request.ranks == [1, 2, 3, 4, 5, 6, 7, 8] and request.limit == 200
    assert not curves.measure()  # one at a time


def test_progress_is_what_the_engine_said(client: ScriptedClient) -> None:
    curves = RankCurves(client, sliding(client))
    curves.measure()
    call = client.last(MeasureRanks)
    client.progress(call, Said(text="loading starter-llama"))
    assert curves.doing is not None and curves.doing.said == "loading starter-llama"
    client.progress(call, Scoring(done=300, total=1600, value=0.4))
    assert (curves.doing.said, curves.doing.done, curves.doing.total) == ("", 300, 1600)


def test_every_order_and_a_neighbour_are_measured_one_after_the_other(client: ScriptedClient) -> None:
    curves = RankCurves(client, sliding(client))
    curves.set(every_order=True, beside="sort-dylora")
    curves.measure()
    asked = []
    while client.asked(MeasureRanks):
        (call,) = client.asked(MeasureRanks)
        asked.append((call.body.adapter, call.body.order))
        client.answer(call, curve(call.body))
    assert asked == [("sort", "energy"), ("sort", "spread"), ("sort", ""), ("sort-dylora", "")]
    assert [curves.label(each) for each in curves.shown] == [
        "By energy",
        "Shared out",
        "As the file has it",
        "sort-dylora, as trained",
    ]
    assert curves.doing is None


def test_another_order_brings_its_own_curve_to_the_front(client: ScriptedClient) -> None:
    ranks = sliding(client)
    curves = RankCurves(client, ranks)
    curves.set(every_order=True)
    curves.measure()
    for best in (0.9, 0.8, 0.4):
        call = client.last(MeasureRanks)
        client.answer(call, curve(call.body, best))
    ranks.set_order("")
    assert curves.current is not None and curves.current.order == ""
    assert curves.shown[0] is curves.current


def test_curves_of_other_rows_do_not_share_a_picture(client: ScriptedClient) -> None:
    ranks = sliding(client)
    curves = RankCurves(client, ranks)
    curves.measure()
    client.answer(call := client.last(MeasureRanks), curve(call.body))
    ranks.set_order("spread")
    curves.set(rows=50)
    curves.measure()
    client.answer(call := client.last(MeasureRanks), curve(call.body))
    assert [each.order for each in curves.shown] == ["spread"]
    ranks.set_order("energy")
    assert [(each.order, each.curve.n) for each in curves.shown] == [("energy", 200)]
    curves.set(metric="loss")
    assert curves.shown == [] and curves.current is None


def test_cancelling_keeps_what_was_finished(client: ScriptedClient) -> None:
    curves = RankCurves(client, sliding(client))
    heard: list[object] = []
    curves.noticed.connect(heard.append)
    curves.set(every_order=True)
    curves.measure()
    client.answer(call := client.last(MeasureRanks), curve(call.body))
    second = client.last(MeasureRanks)
    curves.cancel()
    assert client.cancelled == [second.id]
    client.fail(second, "cancelled")
    assert curves.doing is None and client.asked(MeasureRanks) == [] and heard == []
    assert [each.order for each in curves.shown] == ["energy"]


def test_a_refusal_is_said_and_ends_the_row(client: ScriptedClient) -> None:
    curves = RankCurves(client, sliding(client))
    heard: list = []
    curves.noticed.connect(heard.append)
    curves.set(every_order=True)
    curves.measure()
    client.fail(client.last(MeasureRanks), "data", "Row 3 is empty.")
    assert [notice.message for notice in heard] == ["Row 3 is empty."]
    assert curves.doing is None and client.asked(MeasureRanks) == []


def test_the_sentence_says_how_many_rows_and_which_ranks_are_alike(client: ScriptedClient) -> None:
    curves = RankCurves(client, sliding(client))
    said: list[str] = []
    curves.announced.connect(said.append)
    curves.measure()
    client.answer(call := client.last(MeasureRanks), curve(call.body))
    sentence = "200 rows of sort.heldout. From rank 6 on the 95 % intervals overlap that of rank 8."
    assert curves.sentence == sentence and said == [sentence]


def test_curves_come_back_with_the_window_and_go_with_the_file(
    client: ScriptedClient, tmp_path: Path
) -> None:
    store = QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat)
    curves = RankCurves(client, sliding(client), store)
    curves.measure()
    client.answer(call := client.last(MeasureRanks), curve(call.body))
    again = ScriptedClient()
    reopened = RankCurves(again, sliding(again), store)
    assert reopened.shown == curves.shown != []
    retrained = ScriptedClient()
    ranks = sliding(retrained)
    ranks.stock.adapters["sort"] = replace(SORT, sha256="another")
    ranks.stock.changed.emit()
    assert RankCurves(retrained, ranks, store).shown == []


def test_a_file_of_ones_own_is_read_before_it_is_measured_on(client: ScriptedClient) -> None:
    curves = RankCurves(client, sliding(client))
    curves.choose_data("data/mine.jsonl")
    assert curves.data is not None and curves.data.name == "sort.heldout"
    client.answer(client.last(CheckData), data_set("mine"))
    assert curves.data.name == "mine"


def test_without_an_adapter_it_says_what_to_do(client: ScriptedClient) -> None:
    ranks = sliding(client)
    ranks.stock.adapters.clear()
    ranks.stock.changed.emit()
    curves = RankCurves(client, ranks)
    assert curves.why_not == "Choose an adapter first." and not curves.measure()


def test_a_nested_adapter_has_one_order(client: ScriptedClient) -> None:
    curves = RankCurves(client, sliding(client, NESTED))
    curves.set(every_order=True)
    curves.measure()
    client.answer(call := client.last(MeasureRanks), curve(call.body))
    assert [curves.label(each) for each in curves.shown] == ["As trained"]


def test_a_cut_keeps_the_first_of_each_or_the_largest_of_all() -> None:
    cut = SpectrumCut(spectrum())
    assert cut.kept("energy", 3) == cut.kept("", 3) == [3, 3]
    assert cut.kept("spread", 1) == [1, 1]  # 4.0 and 3.0
    assert cut.kept("spread", 3) == [2, 4]  # 4.0, 3.0, 2.5, 2.2 and both 2.0
    assert cut.kept("spread", 8) == [8, 8]
    assert [sum(cut.kept("spread", rank)) for rank in range(1, 9)] == [2 * rank for rank in range(1, 9)]

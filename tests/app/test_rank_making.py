"""What is made of an adapter on the ranks page: baked, ordered, written; what it says, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from msgspec.structs import replace
from PySide6.QtWidgets import QApplication

from app.presenters.notice import Notice
from app.presenters.rank_making import RankMaking
from engine.messages import (
    BakeRank,
    Done,
    ExportAdapter,
    OrderRanks,
    RanksOrdered,
    ReadSpectrum,
    RemoveAdapter,
    RestoreAdapter,
    Said,
)
from tests.app.scripted_client import BASE, ScriptedClient
from tests.app.scripted_ranks import NESTED, SORT, library, sliding, spectrum

BAKED = replace(SORT, name="sort-r4", rank=4, bytes=40_000, path="home/adapters/sort-r4")
ENERGY = [0.6, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 1.0]
PLAIN = [0.5, 0.7, 0.85, 0.9, 0.95, 0.97, 0.99, 1.0]


@dataclass
class Bench:
    client: ScriptedClient
    making: RankMaking
    heard: list[Notice]


@pytest.fixture
def bench(qapp: QApplication) -> Bench:
    client = ScriptedClient()
    making = RankMaking(client, sliding(client))
    heard: list[Notice] = []
    making.noticed.connect(heard.append)
    return Bench(client, making, heard)


def test_the_live_rank_is_baked_under_the_proposed_name(bench: Bench) -> None:
    making = bench.making
    making.ranks.slide(4)
    assert making.baked_name == "sort-r4" and making.sizes == "40 kB of 80 kB"
    assert making.bake()
    call = bench.client.last(BakeRank)
    assert call.body == BakeRank(adapter="sort", rank=4, out="sort-r4", order="energy")
    assert making.doing == "Baking rank 4" and not making.bake()
    bench.client.answer(call, BAKED)
    assert making.made is not None
    assert making.made.sentence == "sort-r4 is in the library: rank 4, 40 kB instead of 80 kB."
    assert making.made.path == "home/adapters/sort-r4" and making.doing == ""


def test_a_rank_that_was_slid_away_meanwhile_is_not_said(bench: Bench) -> None:
    bench.making.ranks.slide(4)
    bench.making.bake()
    bench.making.ranks.slide(2)
    bench.client.answer(bench.client.last(BakeRank), BAKED)
    assert bench.making.made is not None and "rank 4" in bench.making.made.sentence


def test_what_was_made_is_taken_back_and_brought_back(bench: Bench) -> None:
    making, client = bench.making, bench.client
    making.ranks.slide(4)
    making.bake()
    client.answer(client.last(BakeRank), BAKED)
    making.undo()
    assert client.last(RemoveAdapter).body.name == "sort-r4"
    client.answer(client.last(RemoveAdapter), Done())
    assert making.made is None
    words, restore = bench.heard[-1].action or ("", None)
    assert words == "Bring it back" and restore is not None
    restore()
    assert client.last(RestoreAdapter).body.name == "sort-r4"


def test_names_that_are_taken(bench: Bench) -> None:
    making = bench.making
    making.ranks.slide(4)
    library(bench.client, SORT, BAKED)
    making.ranks.stock.adapters["sort-r4"] = BAKED
    assert making.baked_name == "sort-r4-2"
    making.set(baked="sort-r4")
    assert making.why_not_bake == "There is a sort-r4 in the library. Choose another name."
    assert not making.bake() and not bench.client.asked(BakeRank)


def test_an_adapter_is_put_in_order_by_its_weights(bench: Bench) -> None:
    making = bench.making
    assert making.put_in_order()
    call = bench.client.last(OrderRanks)
    assert call.body == OrderRanks(adapter="sort", out="sort-ordered")
    card = replace(SORT, name="sort-ordered", kind="svd", path="home/adapters/sort-ordered")
    bench.client.answer(call, RanksOrdered(card=card, energy=ENERGY, error=2e-7, notes=["Seven of eight."]))
    made = making.made
    assert made is not None
    assert made.sentence == "sort-ordered is in the library, its columns in order; whole, it lost nothing."
    assert made.energies == (("By energy", tuple(ENERGY)),) and made.notes == ("Seven of eight.",)


def test_ordered_on_data_the_plain_order_stands_beside_it(bench: Bench) -> None:
    making = bench.making
    making.choose_data("data/sort.train.jsonl")
    making.put_in_order()
    call = bench.client.last(OrderRanks)
    assert (call.body.base, call.body.data) == (BASE, "data/sort.train.jsonl")
    card = replace(SORT, name="sort-ordered", kind="svd")
    bench.client.answer(call, RanksOrdered(card=card, energy=ENERGY, error=0.01, plain=PLAIN))
    made = making.made
    assert made is not None and "whole, it lost 1e-02" in made.sentence
    assert made.energies == (("Weighed on data", tuple(ENERGY)), ("Plain order", tuple(PLAIN)))


def test_what_is_in_its_order_already_is_not_ordered(qapp: QApplication) -> None:
    client = ScriptedClient()
    making = RankMaking(client, sliding(client, NESTED))
    assert "trained at every rank" in making.why_not_order and not making.put_in_order()


def test_a_folder_is_written_at_the_live_rank(bench: Bench) -> None:
    making = bench.making
    making.ranks.slide(3)
    making.set(folder="out")
    assert making.why_not_export == "Name the new folder in full, from the root on."
    making.set(folder="/tmp/out")
    assert making.export()
    call = bench.client.last(ExportAdapter)
    assert call.body == ExportAdapter(name="sort", folder="/tmp/out", rank=3, order="energy")
    bench.client.answer(call, Done(path="/tmp/out"))
    made = making.made
    assert made is not None and made.card is None and made.path == "/tmp/out"
    making.undo()
    assert not bench.client.asked(RemoveAdapter)  # what lies outside the library is not ours to take back


def test_columns_without_an_order_are_not_cut(bench: Bench) -> None:
    bench.making.ranks.set_order("")
    bench.making.set(folder="/tmp/out")
    refusal = "As the file has them its columns have no order. Choose another order first."
    assert bench.making.why_not_bake == bench.making.why_not_export == refusal
    assert not bench.making.bake() and not bench.making.export()


def test_a_refusal_is_said_and_nothing_was_made(bench: Bench) -> None:
    bench.making.bake()
    bench.client.fail(bench.client.last(BakeRank), "disk", "The disk is full.")
    assert [notice.message for notice in bench.heard] == ["The disk is full."]
    assert bench.making.made is None and bench.making.doing == ""


def test_what_takes_long_says_how_far_it_is_and_can_be_given_up(bench: Bench) -> None:
    making, client = bench.making, bench.client
    making.choose_data("data/sort.train.jsonl")
    making.put_in_order()
    call = client.last(OrderRanks)
    client.progress(call, Said(text="Listening to sort: row 7 of 512"))
    assert making.doing == "Listening to sort: row 7 of 512" and not making.bake()
    making.cancel()
    assert client.cancelled == [call.id]
    client.fail(call, "cancelled")
    assert (making.doing, making.made, bench.heard) == ("", None, [])
    assert making.put_in_order()


def test_what_was_made_can_be_slid_and_stays_in_sight_then(bench: Bench) -> None:
    making, client = bench.making, bench.client
    making.ranks.slide(4)
    making.bake()
    client.answer(client.last(BakeRank), BAKED)
    making.play()
    library(client, SORT, BAKED)
    assert making.ranks.state.adapter == BAKED and making.made is not None
    making.ranks.choose("sort")
    client.answer_all(ReadSpectrum, spectrum())
    assert making.made is None

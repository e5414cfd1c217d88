"""Item models: correct for Qt, row-wise, never reset."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from PySide6.QtCore import QModelIndex, Qt
from pytestqt.modeltest import ModelTester

from app.models.adapters import MIME, AdapterFilter, AdapterRoles, Adapters
from app.models.jobs import JobRoles, Jobs
from app.models.rows import Index, Rows
from app.words import count, duration, few, megabytes, ranks
from engine.messages import Error, Fit, Job, TrainLora, Verification
from tests.app.scripted_client import BASE, adapter


def job(name: str, **changes: Any) -> Job:
    spec = TrainLora(base=BASE, data="d", out=name)
    known: dict[str, Any] = {"state": "running", "step": 10, "steps": 100, "message": "", **changes}
    return Job(id=name, kind="lora", name=name, spec=spec, **known)


class Pairs(Rows[tuple[str, int]]):
    def __init__(self) -> None:
        super().__init__(lambda pair: pair[0])

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        pair = self.item(index)
        return pair[0] if pair and role == Qt.ItemDataRole.DisplayRole else None


def test_rows_follow_any_change_without_a_reset(qtmodeltester: ModelTester) -> None:
    model = Pairs()
    qtmodeltester.check(model)
    resets: list[bool] = []
    model.modelReset.connect(lambda: resets.append(True))
    draw = random.Random(7)
    for _ in range(200):
        keys = draw.sample("abcdefgh", draw.randint(0, 8))
        pairs = [(key, draw.randint(0, 2)) for key in keys]
        model.show(pairs)
        assert model.items == pairs
    assert resets == []


def test_a_row_that_changed_says_so_alone() -> None:
    model = Pairs()
    model.show([("a", 1), ("b", 1), ("c", 1)])
    changed: list[int] = []
    model.dataChanged.connect(lambda first, last: changed.extend(range(first.row(), last.row() + 1)))
    model.show([("a", 1), ("b", 2), ("c", 1)])
    assert changed == [1]
    model.show([("a", 1), ("b", 2), ("c", 1)])
    assert changed == [1]


FITS = {
    "sort": Fit(verdict="green", reason="All its parts have their place."),
    "reverse": Fit(verdict="amber", reason="Made for another; every shape fits all the same."),
    "chat": Fit(verdict="red", reason="Its q_proj reads 512 numbers."),
}


@pytest.fixture
def adapters() -> Adapters:
    model = Adapters()
    cards = [adapter("sort", rank=32), adapter("reverse"), adapter("chat", base="other-base", rank=16)]
    model.fill(cards, BASE, FITS, {})
    return model


def names(model: AdapterFilter) -> list[str]:
    return [model.index(row, 0).data() for row in range(model.rowCount())]


def test_adapters_are_a_correct_model(adapters: Adapters, qtmodeltester: ModelTester) -> None:
    qtmodeltester.check(adapters)
    qtmodeltester.check(AdapterFilter(adapters))


def test_search_filter_and_order(adapters: Adapters) -> None:
    shown = AdapterFilter(adapters)
    assert names(shown) == ["chat", "reverse", "sort"]
    adapters.order("Rank")
    assert names(shown) == ["sort", "chat", "reverse"]
    adapters.order("Name")
    shown.narrow("", BASE)
    assert names(shown) == ["reverse", "sort"]
    assert shown.hidden == 1
    shown.narrow("does SO", "")
    assert names(shown) == ["sort"]
    shown.narrow("nothing like it", "")
    assert shown.hidden == 3


def test_a_card_that_comes_later_takes_its_place_in_the_order(adapters: Adapters) -> None:
    shown = AdapterFilter(adapters)
    adapters.fill([*(row.card for row in adapters.items), adapter("lexicon")], BASE, FITS, {})
    assert names(shown) == ["chat", "lexicon", "reverse", "sort"]


def test_verdicts_are_words_and_a_colour(adapters: Adapters) -> None:
    def verdicts() -> dict[str, tuple[str, str]]:
        faces = [adapters.index(row).data(AdapterRoles.FACE) for row in range(adapters.rowCount())]
        return {face.title: (face.verdict, face.token) for face in faces}

    assert verdicts() == {
        "sort": ("Fits", "good"),
        "reverse": ("Not certain", "warn"),
        "chat": ("Does not fit", "bad"),
    }
    changed = Verification(name="sort", ok=False, detail="adapter_model.safetensors is not what it was.")
    cards = [row.card for row in adapters.items]
    adapters.fill(cards, BASE, FITS, {"sort": changed})
    assert verdicts()["sort"] == ("Not well", "bad")
    adapters.fill(cards, BASE, {}, {})
    assert verdicts()["sort"] == ("Looking", "text_dim")
    adapters.fill(cards, "", {}, {})
    assert verdicts()["sort"] == ("Unchecked", "text_dim")


def test_a_card_speaks_to_those_who_do_not_see_it(adapters: Adapters) -> None:
    index = adapters.index(adapters.row_of("sort"))
    assert index.data(Qt.ItemDataRole.AccessibleTextRole) == "sort"
    assert "Fits" in index.data(Qt.ItemDataRole.AccessibleDescriptionRole)
    assert "Rank 32" in index.data(Qt.ItemDataRole.AccessibleDescriptionRole)


def test_an_adapter_for_every_rank_says_so(adapters: Adapters) -> None:
    nested = msgspec.structs.replace(adapter("nested", kind="dylora"), low=2)
    adapters.fill((nested, adapter("plain"), adapter("ordered", kind="svd")), BASE, {}, {})
    lines = {}
    for row in range(3):
        face = adapters.index(row).data(AdapterRoles.FACE)
        lines[face.title] = face.lines[1].partition("   ")[0]
    assert lines == {
        "nested": "DyLoRA, every rank 2 to 8",
        "ordered": "In order, ranks 1 to 8",
        "plain": "Rank 8",
    }
    spoken = adapters.index(0).data(Qt.ItemDataRole.AccessibleDescriptionRole)
    assert "DyLoRA, every rank 2 to 8" in spoken
    assert ranks("dylora", 1, 1) == "Rank 1"


def test_a_card_that_is_dragged_carries_its_name(adapters: Adapters) -> None:
    shown = AdapterFilter(adapters)
    index = shown.index(1, 0)
    assert shown.flags(index) & Qt.ItemFlag.ItemIsDragEnabled
    assert bytes(shown.mimeData([index]).data(MIME).data()).decode() == "reverse"
    assert not shown.flags(QModelIndex()) & Qt.ItemFlag.ItemIsDragEnabled


def test_jobs_are_a_correct_model(qtmodeltester: ModelTester) -> None:
    model = Jobs()
    model.show([job("a"), job("b", state="done")])
    qtmodeltester.check(model)


def test_a_job_says_how_far_it_is_and_what_went_wrong() -> None:
    model = Jobs()
    failed = Error(code="disk", message="The disk is full.")
    model.show([job("a", seconds_left=75.0), job("b", state="failed", error=failed, seconds=9.0)])
    running, broken = (model.index(row).data(JobRoles.FACE) for row in (0, 1))
    assert (running.figures, running.share) == ("10 of 100   1:15 left", 0.1)
    assert (broken.words, broken.share) == ("Failed: The disk is full.", None)
    assert "The disk is full" in model.index(1).data(Qt.ItemDataRole.AccessibleDescriptionRole)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1200, "1.2 kB"),
        (344_000, "344 kB"),
        (9_960_000, "10 MB"),
        (24_000_000_000, "24 GB"),
    ],
)
def test_bytes_are_read_at_a_glance(size: int, words: str) -> None:
    assert megabytes(size) == words


def test_durations_and_counts() -> None:
    assert (duration(0), duration(22.4), duration(3600)) == ("0:00", "0:22", "1:00:00")
    assert (count(1, "adapter"), count(1200, "adapter")) == ("1 adapter", "1,200 adapters")


@pytest.mark.parametrize(
    ("number", "words"),
    [(12, "12"), (999, "999"), (1500, "1.5k"), (2000, "2k"), (9960, "10k"), (20400, "20k")],
)
def test_counts_fit_on_a_strip(number: int, words: str) -> None:
    assert few(number) == words

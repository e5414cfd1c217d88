"""What was found, as rows: a correct model, faces, ranges that move nothing under a reader's eyes, drags."""

from __future__ import annotations

import msgspec
import pytest
from PySide6.QtCore import Qt
from pytestqt.modeltest import ModelTester

from app.models.adapters import MIME
from app.models.hub import ABSENT_MIME, ANY, GHOSTS, Hub, HubFilter, HubRoles
from app.models.rows import Rows
from engine.messages import Error
from tests.app.scripted_hub import repo, verdict


@pytest.fixture
def verdicts() -> dict:
    return {}


@pytest.fixture
def hub(qapp, verdicts) -> Hub:
    hub = Hub(verdicts)
    hub.show([repo(number) for number in range(6)])
    return hub


def face(hub: Hub, row: int):
    return hub.index(row).data(HubRoles.FACE)


def test_it_is_a_correct_model_with_and_without_ghosts(hub: Hub, qtmodeltester: ModelTester) -> None:
    qtmodeltester.check(hub)
    shown = HubFilter(hub)
    qtmodeltester.check(shown)
    hub.await_more(True)
    hub.await_more(True)
    assert hub.rowCount() == shown.rowCount() == 6 + GHOSTS
    hub.show([repo(number) for number in range(9)])
    assert hub.rowCount() == 9 + GHOSTS
    hub.await_more(False)
    assert hub.rowCount() == shown.rowCount() == 9


def test_nobody_can_choose_drag_or_read_a_ghost(hub: Hub) -> None:
    hub.await_more(True)
    ghost = hub.index(7)
    assert hub.flags(ghost) == Qt.ItemFlag.NoItemFlags
    assert ghost.data(HubRoles.FACE).is_ghost
    assert ghost.data(Qt.ItemDataRole.AccessibleTextRole) is None
    assert hub.canFetchMore(hub.index(-1))
    hub.await_more(False)
    assert not hub.canFetchMore(hub.index(-1))


def test_a_verdict_colours_its_card_and_no_other(hub: Hub, verdicts: dict) -> None:
    assert (face(hub, 1).verdict, face(hub, 1).token) == ("Looking", "text_dim")
    changed: list[int] = []
    hub.dataChanged.connect(lambda first, last: changed.extend(range(first.row(), last.row() + 1)))
    verdicts[repo(1).repo] = verdict(repo(1).repo, "red")
    hub.judged(repo(1).repo)
    assert changed == [1]
    assert (face(hub, 1).verdict, face(hub, 1).token) == ("Does not fit", "bad")
    assert "Rank 16" in " ".join(face(hub, 1).lines)
    spoken = hub.index(1).data(Qt.ItemDataRole.AccessibleDescriptionRole)
    assert spoken.startswith("Does not fit. Made for a hidden size of 4096")
    verdicts[repo(2).repo] = Error(code="offline", message="The Hub cannot be reached.")
    assert (face(hub, 2).verdict, face(hub, 2).token) == ("Not looked at", "text_dim")


def test_what_fits_once_it_is_converted_says_so(hub: Hub, verdicts: dict) -> None:
    verdicts[repo(1).repo] = msgspec.structs.replace(verdict(repo(1).repo, "amber"), converted="kohya")
    assert (face(hub, 1).verdict, face(hub, 1).token) == ("Fits after conversion", "warn")


def test_bases_speak_of_this_machine(hub: Hub, verdicts: dict) -> None:
    hub.room = "bases"
    hub.show([repo(1, parameters=7_240_000_000)])
    verdicts[repo(1).repo] = verdict(repo(1).repo, "amber")
    assert face(hub, 0).verdict == "Tight"
    assert "7.2 billion parameters" in " ".join(face(hub, 0).lines)
    assert not hub.flags(hub.index(0)) & Qt.ItemFlag.ItemIsDragEnabled


def test_marks_say_what_is_gated_and_what_is_here(hub: Hub) -> None:
    hub.show([repo(1200, gated=True, have="mine"), repo(0, hidden="a pickle only")])
    assert face(hub, 0).marks == (("lock", ""), ("library", ""), ("download", "12k"), ("heart", "1.2k"))
    assert "Hidden: a pickle only" in face(hub, 1).lines


def test_a_drag_carries_a_name_of_the_library_or_says_that_there_is_none(hub: Hub) -> None:
    hub.show([repo(0, have="mine"), repo(1)])
    here, absent = (hub.mimeData([hub.index(row)]) for row in (0, 1))
    assert bytes(here.data(MIME).data()).decode() == "mine"
    assert not absent.hasFormat(MIME), "no page takes for here what is not"
    assert bytes(absent.data(ABSENT_MIME).data()).decode() == repo(1).repo


def ranked(shown: HubFilter) -> list[str]:
    return [shown.index(row, 0).data() for row in range(shown.rowCount())]


def test_a_range_hides_what_is_known_to_lie_outside(hub: Hub, verdicts: dict) -> None:
    shown = HubFilter(hub)
    for number in range(3):
        verdicts[repo(number).repo] = verdict(repo(number).repo)  # ranks 8, 16, 24
    shown.narrow((1, 8), ANY)
    assert ranked(shown) == [repo(number).repo for number in (0, 3, 4, 5)]
    assert shown.hidden == 2


def test_a_card_that_turns_out_to_lie_outside_stays_until_the_ranges_are_chosen_anew(
    hub: Hub, verdicts: dict
) -> None:
    shown = HubFilter(hub)
    shown.narrow((1, 8), ANY)
    assert shown.hidden == 0
    verdicts[repo(1).repo] = verdict(repo(1).repo)  # rank 16
    hub.judged(repo(1).repo)
    assert repo(1).repo in ranked(shown)
    shown.narrow((1, 9), ANY)
    assert repo(1).repo not in ranked(shown)
    shown.narrow(ANY, ANY)
    assert shown.hidden == 0


def test_ghosts_are_never_filtered(hub: Hub, verdicts: dict) -> None:
    shown = HubFilter(hub)
    hub.await_more(True)
    for number in range(6):
        verdicts[repo(number).repo] = verdict(repo(number).repo)
    shown.narrow((1000, 2000), ANY)
    assert shown.rowCount() == GHOSTS


class Counting(Rows[int]):
    """Counts how often a key is asked for and how many rows are told of."""

    def __init__(self) -> None:
        self.asked = 0
        super().__init__(self._name)
        self.told = 0
        for signal in (self.rowsInserted, self.rowsRemoved, self.layoutChanged, self.dataChanged):
            signal.connect(self._count)

    def _name(self, number: int) -> str:
        self.asked += 1
        return str(number)

    def _count(self) -> None:
        self.told += 1


@pytest.mark.parametrize(
    ("before", "after", "signals"),
    [
        (range(0), range(20_000), 1),
        (range(20_000), range(20_050), 1),
        (range(20_000), range(20_000, 0, -1), 3),
        (range(20_000), range(5_000, 15_000), 2),
        (range(5_000, 15_000), range(20_000), 2),
        (range(20_000), range(0), 1),
    ],
)
def test_rows_change_in_whole_ranges_and_in_linear_time(qapp, before, after, signals) -> None:
    rows = Counting()
    rows.show(list(before))
    rows.asked = rows.told = 0
    rows.show(list(after))
    assert rows.items == list(after)
    assert rows.told == signals
    assert rows.asked <= 8 * (len(before) + len(after))

"""The endless search and the verdicts of what is in sight: presenters alone, answered one by one."""

from __future__ import annotations

import msgspec
import pytest

from app.presenters.search import PART, PATIENCE, Query, Search
from app.presenters.verdicts import BATCH, Verdicts
from engine.messages import (
    Adapters,
    HubPage,
    HubVerdicts,
    JudgeHub,
    LibraryChanged,
    ListAdapters,
    SearchHub,
)
from tests.app.scripted_client import BASE, ScriptedClient, adapter
from tests.app.scripted_hub import repo, verdict


@pytest.fixture
def client(qapp) -> ScriptedClient:
    return ScriptedClient()


@pytest.fixture
def search(client) -> Search:
    search = Search(client)
    search.ask(Query(text="sort", base=BASE))
    return search


def part(first: int, count: int, more: bool = True, hidden: int = 0) -> HubPage:
    return HubPage(
        repos=[repo(number) for number in range(first, first + count)],
        next=first + PART if more else None,
        hidden=hidden,
    )


def names(search: Search) -> list[str]:
    return [found.repo for found in search.found.repos]


def test_a_search_asks_for_its_first_part(search, client):
    asked = client.last(SearchHub).body
    assert (asked.text, asked.base, asked.skip, asked.limit) == ("sort", BASE, 0, PART)
    assert search.found.phase == "looking"


def test_bases_are_looked_for_without_a_base(search, client):
    search.ask(Query(room="bases", base=BASE))
    assert client.last(SearchHub).body.base == ""


def test_parts_follow_one_another_until_the_end(search, client):
    client.answer(client.last(SearchHub), part(0, 3, hidden=2))
    assert (search.found.phase, search.found.hidden, len(names(search))) == ("open", 2, 3)
    search.more()
    search.more()  # already being looked for
    assert len(client.asked(SearchHub)) == 1
    assert client.last(SearchHub).body.skip == PART
    client.answer(client.last(SearchHub), part(3, 2, more=False, hidden=1))
    assert (search.found.phase, search.found.hidden, len(names(search))) == ("whole", 3, 5)
    search.more()
    assert client.asked(SearchHub) == []


def test_what_comes_twice_stays_where_it_was(search, client):
    client.answer(client.last(SearchHub), part(0, 3))
    search.more()
    client.answer(client.last(SearchHub), part(2, 3))
    assert names(search) == [repo(number).repo for number in range(5)]


def test_parts_without_anything_are_gone_through_and_after_a_while_it_asks(search, client):
    for _ in range(PATIENCE):
        client.answer(client.last(SearchHub), HubPage(repos=[], next=PART, hidden=PART))
    assert search.found.phase == "tired"
    assert client.asked(SearchHub) == []
    assert search.found.hidden == PATIENCE * PART
    search.more()
    assert len(client.asked(SearchHub)) == 1


def test_a_new_query_makes_the_old_answers_worthless(search, client):
    old = client.last(SearchHub)
    search.ask(Query(text="reverse"))
    assert old.id in client.cancelled
    client.answer(old, part(0, 3))
    assert names(search) == []
    client.answer(client.last(SearchHub), part(5, 1, more=False))
    assert names(search) == [repo(5).repo]


def test_without_the_hub_the_librarys_own_is_shown(search, client):
    client.fail(client.last(SearchHub), "offline", "The Hub cannot be reached.")
    cards = [adapter("sort"), adapter("reverse"), adapter("sorter", base="another")]
    client.answer(client.last(ListAdapters), Adapters(adapters=cards))
    assert search.found.is_library
    assert search.found.problem.code == "offline"
    assert [(found.repo, found.have, found.rank) for found in search.found.repos] == [("sort", "sort", 8)]
    search.retry()
    assert search.found.problem is None
    assert client.last(SearchHub).body.skip == 0


def test_a_part_that_fails_leaves_what_was_read_and_can_be_asked_for_again(search, client):
    client.answer(client.last(SearchHub), part(0, 3))
    search.more()
    client.fail(client.last(SearchHub), "limited", "Too many questions.")
    assert len(names(search)) == 3
    assert (search.found.phase, search.found.problem.code) == ("open", "limited")
    search.retry()
    assert client.last(SearchHub).body.skip == PART
    assert search.found.problem is None


def test_what_has_come_into_the_library_is_marked(search, client):
    client.answer(client.last(SearchHub), part(0, 3))
    client.tell(LibraryChanged(what="adapters"))
    here = msgspec.structs.replace(adapter("one"), repo=repo(1).repo)
    client.answer(client.last(ListAdapters), Adapters(adapters=[here]))
    assert [found.have for found in search.found.repos] == ["", "one", ""]
    client.tell(LibraryChanged(what="adapters"))
    client.answer(client.last(ListAdapters), Adapters(adapters=[]))
    assert [found.have for found in search.found.repos] == ["", "", ""]


# --- verdicts ---


@pytest.fixture
def verdicts(client) -> Verdicts:
    return Verdicts(client)


def repos(*numbers: int) -> list[str]:
    return [repo(number).repo for number in numbers]


def test_only_what_is_in_sight_is_judged_and_only_once(verdicts, client):
    verdicts.against(BASE, "adapters")
    verdicts.see(repos(0, 1))
    verdicts.see(repos(0, 1, 2))
    assert [call.body for call in client.asked(JudgeHub)] == [
        JudgeHub(repos=repos(0, 1), base=BASE),
        JudgeHub(repos=repos(2), base=BASE),
    ]


def test_each_verdict_is_told_as_it_comes(verdicts, client):
    came = []
    verdicts.came.connect(came.append)
    verdicts.see(repos(0, 1))
    call = client.last(JudgeHub)
    client.progress(call, verdict(repos(1)[0]))
    assert came == repos(1)
    client.answer(call, HubVerdicts(verdicts=[verdict(name) for name in repos(0, 1)]))
    assert came == repos(1, 0)
    verdicts.see(repos(0, 1))
    assert client.asked(JudgeHub) == []


def test_what_is_scrolled_away_is_given_up_and_what_is_half_in_sight_is_not(verdicts, client):
    verdicts.see(repos(*range(2 * BATCH)))
    first, second = client.asked(JudgeHub)
    verdicts.see(repos(BATCH, 2 * BATCH))
    assert client.cancelled == [first.id]
    assert client.last(JudgeHub).body.repos == repos(2 * BATCH)
    client.fail(first, "cancelled")
    assert verdicts.known == {}
    client.progress(second, verdict(repos(BATCH + 1)[0]))
    assert list(verdicts.known) == repos(BATCH + 1)


def test_a_call_whose_seen_ones_are_known_is_not_kept_for_the_others(verdicts, client):
    verdicts.see(repos(0, 1))
    call = client.last(JudgeHub)
    client.progress(call, verdict(repos(0)[0]))
    verdicts.see(repos(0, 5))
    assert client.cancelled == [call.id]


def test_another_base_forgets_all(verdicts, client):
    forgotten = []
    verdicts.forgotten.connect(lambda: forgotten.append(True))
    verdicts.see(repos(0, 1))
    client.progress(client.last(JudgeHub), verdict(repos(0)[0]))
    verdicts.against("another", "adapters")
    verdicts.against("another", "adapters")
    assert (verdicts.known, forgotten) == ({}, [True])
    verdicts.see(repos(0))
    assert client.last(JudgeHub).body.base == "another"


def test_what_could_not_be_judged_says_why_and_is_asked_again_on_demand(verdicts, client):
    verdicts.see(repos(0))
    client.fail(client.last(JudgeHub), "offline", "The Hub cannot be reached.")
    assert verdicts.known[repos(0)[0]].message == "The Hub cannot be reached."
    verdicts.see(repos(0))
    assert client.asked(JudgeHub) == []
    verdicts.forget_failures()
    verdicts.see(repos(0))
    assert len(client.asked(JudgeHub)) == 1
